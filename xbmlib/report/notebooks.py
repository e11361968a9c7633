"""An executed notebook as a page of the site."""

from __future__ import annotations

import ast
import base64
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from xbmlib.study.execution import SOURCES
from xbmlib.study.plan import NOTEBOOKS

# Notebooks without a profile, which the site executes itself, and what in results/ each shows.
SHOWS = {
    "scaling": "scaling.csv",
    "benchmarks": "benchmarks.csv",
    "settings_search": "search_protocol.csv",
}
# It trains for minutes and writes weights: its page has no outputs.
SOURCE_ONLY = ("pretrain",)


def without_profile(results: Path) -> tuple[list[str], list[str]]:
    """The notebooks that no profile executes: those to execute now, and those to show as they are.

    A notebook whose measurements are not in ``results`` is in neither.
    """
    names = sorted({path.stem for path in SOURCES.glob("*.ipynb")} - set(NOTEBOOKS))
    there = [n for n in names if n not in SHOWS or (results / SHOWS[n]).is_file()]
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
    """Give each figure an alternative text, and the text before a single figure as its caption.

    The heading stays where it is.
    """
    heading = ""
    before: NotebookNode | None = None
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            headings = [line for line in cell.source.splitlines() if line.startswith("#")]
            heading = headings[-1].lstrip("# ") if headings else heading
        elif shown := figures(cell):
            is_text = before is not None and before.cell_type == "markdown"
            lines = before.source.splitlines() if before is not None and is_text else []
            text = "\n".join(line for line in lines if not line.startswith("#")).strip()
            cell.metadata["mystnb"] = {"image": {"alt": plain(f"{heading}. {text}")}}
            if before is not None and text and len(shown) == 1:
                before.source = "\n".join(line for line in lines if line.startswith("#"))
                cell.metadata["mystnb"]["figure"] = {"caption": text}
        before = cell


def figures(cell: NotebookNode) -> list[bytes]:
    """The PNG files that a cell shows."""
    shown = (output.get("data", {}) for output in cell.get("outputs", []))
    return [base64.b64decode(data["image/png"]) for data in shown if "image/png" in data]


def plain(markdown: str) -> str:
    """Markdown as one line of plain text, for an alternative text."""
    linked = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", markdown)
    return " ".join(re.sub(r"[`*$]", "", linked).split())
