"""An executed notebook as a page of the site."""

from __future__ import annotations

import ast
import base64
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from xbmlib.study.execution import SOURCES
from xbmlib.study.measured import stored
from xbmlib.study.plan import NOTEBOOKS

# Notebooks without a profile, which the site executes itself, and the table of results/ that each
# shows.
SHOWS = {"scaling": "scaling", "benchmarks": "benchmarks", "settings_search": "search_protocol"}
# MyST-NB passes over a cell without source, whatever its outputs.
SHOWN_APART = "# A further figure of the cell above."
# It trains for minutes and writes weights: its page has no outputs.
SOURCE_ONLY = ("pretrain",)


def without_profile() -> tuple[list[str], list[str]]:
    """The notebooks that no profile executes: those to execute now, and those to show as they are.

    A notebook whose measurements are stored nowhere is in neither.
    """
    names = sorted({path.stem for path in SOURCES.glob("*.ipynb")} - set(NOTEBOOKS))
    there = [n for n in names if n not in SHOWS or stored(SHOWS[n])]
    return [n for n in there if n not in SOURCE_ONLY], [n for n in there if n in SOURCE_ONLY]


def write_page(executed: Path, page: Path) -> None:
    """Write an executed notebook with one cell of parameters, and a caption under each figure."""
    notebook = nbformat.read(executed, 4)
    merge_parameters(notebook)
    describe_figures(notebook)
    nbformat.write(notebook, page)


def merge_parameters(notebook: NotebookNode) -> None:
    """Put the values that papermill injected into the cell of parameters, beside their comments."""
    cell, injected = (_tagged(notebook, tag) for tag in ("parameters", "injected-parameters"))
    if cell is None or injected is None:
        return
    values = {
        target.id: ast.get_source_segment(injected.source, node.value)
        for node in ast.parse(injected.source).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    cell.source = "\n".join(_with_value(line, values) for line in cell.source.splitlines())
    notebook.cells.remove(injected)


def _tagged(notebook: NotebookNode, tag: str) -> NotebookNode | None:
    return next((c for c in notebook.cells if tag in c.metadata.get("tags", [])), None)


def _with_value(line: str, values: dict[str, str | None]) -> str:
    """A line ``name = value  # comment`` with the value given for its name."""
    node = next(iter(ast.parse(line).body), None)
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
        return line
    value = values.get(node.targets[0].id)
    if value is None:
        return line
    raw, old = line.encode(), node.value  # the offsets count bytes
    return b"".join((raw[: old.col_offset], value.encode(), raw[old.end_col_offset :])).decode()


def describe_figures(notebook: NotebookNode) -> None:
    """Give each figure an alternative text and a caption, its data set's name among them.

    The text before a single figure becomes its caption, and the heading stays where it is. Before
    several figures of one cell the text stays too, and each figure has a cell of its own: a page
    has one alternative text and one caption per cell.
    """
    cells: list[NotebookNode] = []
    heading = ""
    before: NotebookNode | None = None
    for cell in notebook.cells:
        parts = [cell]
        if cell.cell_type == "markdown":
            headings = [line for line in cell.source.splitlines() if line.startswith("#")]
            heading = headings[-1].lstrip("# ") if headings else heading
        elif figures(cell):
            parts = _one_figure_each(cell)
            is_text = before is not None and before.cell_type == "markdown"
            lines = before.source.splitlines() if before is not None and is_text else []
            text = "\n".join(line for line in lines if not line.startswith("#")).strip()
            for part in parts:
                name = _data_set(part)
                title = f"{heading}: `{name}`" if name else heading
                part.metadata["mystnb"] = {"image": {"alt": plain(f"{title}. {text}")}}
                caption = title if len(parts) > 1 and name else ""
                if before is not None and text and len(parts) == 1:
                    before.source = "\n".join(line for line in lines if line.startswith("#"))
                    caption = f"`{name}`. {text}" if name else text
                if caption:
                    part.metadata["mystnb"]["figure"] = {"caption": caption}
        cells += parts
        before = cell
    notebook.cells = cells


def _one_figure_each(cell: NotebookNode) -> list[NotebookNode]:
    """The cell, and for each further figure a cell that shows it, whose source is hidden."""
    groups: list[list[NotebookNode]] = [[]]
    for output in cell.outputs:
        if _is_figure(output) and any(map(_is_figure, groups[-1])):
            groups.append([])
        groups[-1].append(output)
    cell.outputs = groups[0]
    further = [
        nbformat.v4.new_code_cell(SHOWN_APART, outputs=outputs, metadata={"tags": ["remove-input"]})
        for outputs in groups[1:]
    ]
    return [cell, *further]


def _is_figure(output: NotebookNode) -> bool:
    return "image/png" in output.get("data", {})


def _data_set(cell: NotebookNode) -> str:
    """The name that :func:`xbmlib.study.notebook.export_each` gave the figure of a cell, or ""."""
    (output,) = filter(_is_figure, cell.outputs)
    return str(output.get("metadata", {}).get("image/png", {}).get("alt", ""))


def figures(cell: NotebookNode) -> list[bytes]:
    """The PNG files that a cell shows."""
    shown = filter(_is_figure, cell.get("outputs", []))
    return [base64.b64decode(output["data"]["image/png"]) for output in shown]


def plain(markdown: str) -> str:
    """Markdown as one line of plain text, for an alternative text."""
    linked = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", markdown)
    return " ".join(re.sub(r"[`*$]", "", linked).split())
