"""What the outputs of an executed notebook hold."""

import base64


def images(cell):
    """The PNG images in the outputs of a cell."""
    data = [output.get("data", {}) for output in cell.get("outputs", [])]
    return [base64.b64decode(d["image/png"]) for d in data if "image/png" in d]


def complaints(notebook):
    """Whatever its cells wrote to stderr, and every output that speaks of a warning."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [(o.get("name"), str(o.get("text") or o.get("data"))) for o in outputs]
    return [text for name, text in texts if name == "stderr" or "Warning" in text]


def figures(notebook):
    """The cells that export a figure."""
    return [cell for cell in notebook.cells if "notebook.export" in cell.source]


def assert_shown(notebook, exported):
    """A cell that exports figures shows these alone, and every exported PNG is shown once.

    A cell run twice shows its figures twice; one that exports a figure per data set shows several.

    Args:
        notebook: executed.
        exported: the paths of the PNG files that it exported.
    """
    shown = [images(cell) for cell in figures(notebook)]
    for cell, found in zip(figures(notebook), shown, strict=True):
        assert len(found) == len(set(found)) >= 1
        assert len(found) == 1 or "notebook.export_each(" in cell.source
    assert {png for found in shown for png in found} == {path.read_bytes() for path in exported}
