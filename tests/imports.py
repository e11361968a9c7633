"""What the modules of a source tree import, read from their text without running them."""

import ast
import json
from pathlib import Path
from typing import NamedTuple


class Import(NamedTuple):
    """One import.

    Attributes:
        module: that imports, such as "xbmlib.recall.tiles".
        target: that is imported, in full; a name that is no module of the tree is left out.
        lazy: whether only a call imports it, or only a type checker.
    """

    module: str
    target: str
    lazy: bool


def sources(root):
    """(module name, text) of the packages and notebooks of a tree."""
    for folder in ("xbmlib", "benchmarks"):
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            yield ".".join(part for part in parts if part != "__init__"), path.read_text("utf-8")
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
        yield f"notebooks.{path.stem}", text


def imports(root: Path):
    """Every import of a tree: at the top, inside functions, for type checking, by ``require``."""
    texts = dict(sources(root))
    return [
        Import(module, target, lazy)
        for module, text in texts.items()
        for node, lazy in _walk(ast.parse(text), False)
        for target in _targets(node, texts)
    ]


def _walk(node, lazy):
    yield node, lazy
    for child in ast.iter_child_nodes(node):
        deferred = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        )
        yield from _walk(child, lazy or deferred)


def _targets(node, known):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert not node.level, "a relative import: this reads absolute ones only"
        full = [f"{node.module}.{alias.name}" for alias in node.names]
        return [name if name in known else node.module for name in full]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = getattr(node.func, "attr", getattr(node.func, "id", None))
        if called in ("require", "import_module", "__import__"):
            return [node.args[0].value]
    return []
