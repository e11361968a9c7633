"""The sources of the site, assembled from results/ and built by Sphinx."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory

import nbformat

from xbmlib.extras import require
from xbmlib.plots import COLOURS
from xbmlib.report import api, claims, explorer, notebooks
from xbmlib.storage import ROOT, StorageError
from xbmlib.study import summary
from xbmlib.study.execution import SOURCES, execute_to, executed
from xbmlib.study.figures.retrievals import Parameters, frame
from xbmlib.study.generated import part
from xbmlib.study.plan import NOTEBOOKS
from xbmlib.training.experiment import shown

PAGES = Path(__file__).parent / "pages"
# The notebook whose figure stands on the first page.
HEADLINE = "ablation_memory_ratio"


class ReportError(StorageError):
    """A report that cannot be built; the message names what is missing and the remedy."""


def build(profile: str) -> Path:
    """Build the report in ``build/report``, complete or not at all.

    Args:
        profile: the profile of the executed notebooks. The claims are those of each notebook at
            the largest profile that has run.

    Returns:
        The first page.

    Raises:
        ReportError: a notebook was not executed to its end, or Sphinx refuses the pages.
        MissingExtra: Sphinx is not installed.
    """
    # Takes a second to import, and nothing else here needs it.
    sphinx = require("sphinx.cmd.build", extra="report").main

    site = ROOT / "build" / "report"
    site.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=site.parent) as folder:
        sources, html = Path(folder, "sources"), Path(folder, "html")
        assemble(profile, sources)
        # What Sphinx only warns of is a page that does not show what it should.
        if sphinx(["-q", "-W", "-b", "html", "-d", f"{folder}/doctrees", str(sources), str(html)]):
            raise ReportError(f"Sphinx refused the report of profile={profile!r}: see its warnings")
        shutil.rmtree(site, ignore_errors=True)
        os.replace(html, site)
    return site / "index.html"


def assemble(profile: str, sources: Path) -> None:
    """Write a Sphinx project: the pages of this package, filled in, and the notebooks.

    Args:
        profile: as for :func:`build`.
        sources: folder to create.

    Raises:
        ReportError: a notebook was not executed to its end.
    """
    shutil.copytree(PAGES, sources, ignore=shutil.ignore_patterns("__pycache__"))
    (sources / "notebooks").mkdir()
    for name in NOTEBOOKS:
        path = executed(profile) / f"{name}.ipynb"
        _check(path, profile)
        notebooks.write_page(path, sources / "notebooks" / path.name)
    pages = [*NOTEBOOKS, *_others(sources / "notebooks")]
    api.write(sources / "api")
    profiles = (profile, *summary.README_PROFILES)
    found = summary.claims(profiles)
    _fill(
        sources / "index.md",
        {
            "profile": profile,
            "summary": claims.summary(found),
            "conclusion": _conclusion(),
            "headline": _headline(sources),
            "table": claims.table(found, pages),
            "followups": claims.table(summary.followups(profiles), pages),
            "notebooks": "\n".join(f"notebooks/{name}" for name in pages),
        },
    )
    data = frame(Parameters.of({"profile": profile}))
    scripts = explorer.scripts(data)
    for name, script in scripts.items():
        path = sources / "_static" / f"retrievals_{name}.js"
        path.write_text(script, encoding="utf-8")
    values = {"about": explorer.about(data), "sets": " ".join(scripts)}
    _fill(sources / "explorer.md", values)
    variables = "".join(f"  --{name}: {colour};\n" for name, colour in COLOURS.items())
    (sources / "_static" / "colours.css").write_text(f":root {{\n{variables}}}\n", encoding="utf-8")


def _others(folder: Path) -> list[str]:
    """Write the pages of the notebooks that have no profile; their names."""
    to_execute, as_they_are = notebooks.without_profile()
    for name in to_execute:
        page = folder / f"{name}.ipynb"
        execute_to(page, name)
        notebooks.write_page(page, page)
    for name in as_they_are:
        shutil.copy(SOURCES / f"{name}.ipynb", folder)
    return [*to_execute, *as_they_are]


def _conclusion() -> str:
    """What the README says came out, without links to files of the checkout."""
    text = part((SOURCES.parent / "README.md").read_text(encoding="utf-8"), "conclusion")
    return re.sub(r"\[([^\]]*)\]\((?!https:)[^)]*\)", r"\1", text)


def _headline(sources: Path) -> str:
    """Markdown of the figure of the page of ``HEADLINE``, which links to it."""
    notebook = nbformat.read(sources / "notebooks" / f"{HEADLINE}.ipynb", 4)
    for cell in notebook.cells:
        if found := notebooks.figures(cell):
            (sources / "_static" / "headline.png").write_bytes(found[0])
            alt = claims.plain(cell.metadata["mystnb"]["image"]["alt"])
            return f"[![{alt}](_static/headline.png){{.headline}}](notebooks/{HEADLINE}.ipynb)"
    return ""


def _check(path: Path, profile: str) -> None:
    remedy = f"run python -m xbmlib.study {profile}"
    if not path.is_file():
        raise ReportError(f"{path} does not exist: {remedy}")
    try:
        noted = nbformat.read(path, 4).metadata.get("papermill", {})
    except (OSError, ValueError, TypeError, AttributeError, nbformat.ValidationError) as error:
        reason = str(error).partition("\n")[0]
        raise ReportError(f"{path} is no notebook ({shown(reason)}): {remedy}") from None
    if noted.get("exception") or not noted.get("end_time"):
        raise ReportError(f"{path} was not executed to its end: {remedy}")


def _fill(page: Path, values: Mapping[str, str]) -> None:
    page.write_text(Template(page.read_text(encoding="utf-8")).substitute(values), encoding="utf-8")
