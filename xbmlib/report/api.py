"""Pages of the public interface, generated from the docstrings."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

# Page to its title and to the modules whose public names it shows.
PAGES = {
    "xbm": ("XBM: memory and loss in one call", ("xbmlib.xbm",)),
    "queue": ("The memory", ("xbmlib.queue",)),
    "losses": ("Losses", ("xbmlib.losses",)),
    "sampler": ("Sampler", ("xbmlib.sampler",)),
    "recall": ("Recall@K", ("xbmlib.recall",)),
    "drift": ("Drift", ("xbmlib.drift",)),
    "distributed": ("Many processes", ("xbmlib.distributed",)),
    "training": (
        "Training",
        (
            "xbmlib.training.experiment",
            "xbmlib.training.trainer",
            "xbmlib.training.callbacks",
            "xbmlib.training.run",
            "xbmlib.training.store",
        ),
    ),
}


def write(folder: Path) -> None:
    """Write the pages, in reStructuredText, into a new folder."""
    folder.mkdir()
    listed = "\n   ".join(PAGES)
    (folder / "index.rst").write_text(
        f"{_title('Library')}Symbols and names of :mod:`xbmlib`, which imports torch alone.\n\n"
        f".. automodule:: xbmlib\n   :no-members:\n\n.. toctree::\n\n   {listed}\n",
        encoding="utf-8",
    )
    for name, (title, modules) in PAGES.items():
        several = len(modules) > 1
        text = _title(title)
        for module in modules:
            heading = _title(module, "-") if several else ""
            text += f"{heading}.. automodule:: {module}\n   :members:\n{_of_parts(module)}\n"
        (folder / f"{name}.rst").write_text(text, encoding="utf-8")


def _of_parts(module: str) -> str:
    """The option of a package, whose public names are those of its modules."""
    spec = find_spec(module)
    return "   :imported-members:\n" if spec and spec.submodule_search_locations else ""


def _title(text: str, line: str = "=") -> str:
    return f"{text}\n{line * len(text)}\n\n"
