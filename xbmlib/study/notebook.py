"""What every notebook shares: checked parameters, exported figures, a verdict."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, Self

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from xbmlib import plots
from xbmlib.datasets.paths import is_folder
from xbmlib.datasets.published import VARIABLE
from xbmlib.storage import ROOT, require_writable, write_atomically, write_csv, write_json
from xbmlib.study import comparison, tables
from xbmlib.study.cells import parameters_of_cells
from xbmlib.study.comparison import Quantity
from xbmlib.study.estimate import Quicker
from xbmlib.study.profiles import PROFILES, Profile
from xbmlib.study.verdict import Verdict
from xbmlib.study.words import tally
from xbmlib.training.experiment import SHOWN, Experiment, shown

if TYPE_CHECKING:
    from IPython.display import Image, Markdown
    from pandas.io.formats.style import Styler

# Characters of a suffix of a file's name that lists parameters.
LONGEST = 100
ProfileName = Literal["smoke", "quick", "full", "paper", "released"]


class ParameterError(ValueError):
    """An invalid notebook parameter; the message names it, its value and the remedy."""


class Checked(BaseModel):
    """Parameters of a notebook, validated; a subclass declares them as fields.

    Attributes:
        notebook: name of the notebook's file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    notebook: ClassVar[str]

    @property
    def selected(self) -> dict[str, Any]:
        """The profile, if there is one, and every other parameter that has not its default."""
        fields = type(self).model_fields
        values = {name: getattr(self, name) for name in fields}
        return {n: v for n, v in values.items() if n == "profile" or v != fields[n].default}

    @classmethod
    def of(cls, namespace: Mapping[str, Any]) -> Self:
        """Take the parameters from the notebook's ``globals()``, or from any other mapping.

        papermill only warns of a parameter that the notebook does not have; here it is refused,
        even under a name that the kernel or an import has since overwritten
        (:mod:`xbmlib.study.cells`). One that Python reserves, such as ``class``, ends before this
        is called, in the SyntaxError of the cell that papermill injects.

        Raises:
            ParameterError: unknown name, wrong type, or value out of range.
            StorageError: in a notebook, nothing can be written to where its results belong.
        """
        assigned = parameters_of_cells(namespace)
        given = dict(namespace if assigned is None else assigned)
        # The present value of a known name, however the cells arrived at it.
        given |= {
            name: namespace[name]
            for name in given
            if name in cls.model_fields.keys() & namespace.keys()
        }
        try:
            parameters = cls(**given)
        except ValidationError as error:
            lines = [cls._explain(e) for e in error.errors()]
            raise ParameterError("\n".join(lines)) from None
        if assigned is not None:
            for folder in ("figures", "results"):
                require_writable(ROOT / folder)
        return parameters

    @classmethod
    def _explain(cls, error: Any) -> str:
        name = str(error["loc"][0]) if error["loc"] else ""
        known = ", ".join(cls.model_fields)
        if error["type"] == "extra_forbidden":
            close = difflib.get_close_matches(name, cls.model_fields, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            given = f"{name[:SHOWN]}={shown(error['input'])}"
            return f"{given}: no such parameter; {hint}Known: {known}"
        message = error["msg"].removeprefix("Value error, ")
        return f"{name}={shown(error['input'])}: {message[0].lower()}{message[1:]}"


class StudyParameters(Checked):
    """Parameters of every notebook that trains; a notebook adds further ones by subclassing.

    Attributes:
        profile: name of the profile, which fixes the size of every run.
        seeds: number of seeds, counted from 0; None for the profile's number.
        data_root: folder of the paper's data sets, for profiles ``paper`` and ``released``; None
            for the folder that the environment variable XBM_DATA names.
    """

    profile: ProfileName = "full"
    seeds: Annotated[int, Field(ge=1, le=100)] | None = None
    data_root: Annotated[str | None, Field(validate_default=True)] = None

    @field_validator("data_root")
    @classmethod
    def _found(cls, folder: str | None, info: ValidationInfo) -> str | None:
        if folder is not None:
            # The empty path would be the working directory.
            if not folder or not is_folder(Path(folder)):
                raise ValueError(
                    "no such folder; give the folder that holds one folder per data set"
                )
            # The processes that train read it from the environment.
            os.environ[VARIABLE] = str(Path(folder).resolve())
        profile = PROFILES.get(info.data.get("profile", ""))
        if profile and profile.setting and not os.environ.get(VARIABLE):
            raise ValueError(
                f"profile={profile.name!r} runs on {profile.name_data()}: give the folder that "
                "holds them as data_root"
            )
        return folder

    @property
    def selected(self) -> dict[str, Any]:
        """As of any notebook; where the data are, and the profile's number of seeds, are none."""
        same = {"data_root": self.data_root, "seeds": self.size.seeds}
        return {n: v for n, v in super().selected.items() if n not in same or v != same[n]}

    def quicker(self, experiments: Callable[[Self], list[Experiment]]) -> Quicker | None:
        """What :func:`xbmlib.study.parallel.run_all` announces beside the runs of these parameters.

        Args:
            experiments: the runs of a notebook's parameters.

        Returns:
            The runs at profile quick; None but at profile full, or where quick has none of these
            parameters.
        """
        if self.profile != "full":
            return None
        try:
            quick = type(self)(**(self.model_dump() | {"profile": "quick"}))
            return Quicker("-p profile quick", experiments(quick))
        except ValueError:
            return None

    @property
    def size(self) -> Profile:
        """The profile of that name."""
        return PROFILES[self.profile]

    @property
    def seed_range(self) -> range:
        """The seeds to run."""
        return range(self.seeds or self.size.seeds)


class Named(Protocol):
    """Whatever names the files of a notebook's figures and verdicts."""

    notebook: ClassVar[str]

    @property
    def profile(self) -> str:
        """Name of the folder in figures/ and in results/verdicts/."""

    @property
    def selected(self) -> Mapping[str, Any]:
        """The parameters that select what is shown: :attr:`Checked.selected`."""


def variant(parameters: Named) -> str:
    """What sets files of these parameters apart from those of the defaults; nothing for the latter.

    Example:
        >>> from xbmlib.study.figures.settings_search import Parameters
        >>> variant(Parameters(batch=64)), variant(Parameters())
        ('_batch=64', '')
    """
    changed = {n: v for n, v in parameters.selected.items() if n != "profile"}
    text = "".join(f"_{name}={value}" for name, value in changed.items())
    return text if len(text) <= LONGEST else f"_of={hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _file_name(parameters: Named, part: str) -> str:
    """Name of a notebook's files in figures/, without the ending."""
    suffix = f"_{part}" if part else ""
    return f"{parameters.notebook}{suffix}{variant(parameters)}"


def export(
    figure: Figure, data: pd.DataFrame, parameters: Named, part: str = "", alt: str = ""
) -> Image:
    """Write a notebook's figure as SVG and PNG, and the data that it shows as CSV.

    The figure is closed, so that a notebook shows what is returned and not the figure once more.

    Args:
        figure: the figure, as a plot made it within :func:`xbmlib.plots.style`.
        data: the data that it shows.
        parameters: parameters of the notebook; the files are named after it, and after each
            parameter that has not its default (:func:`variant`).
        part: suffix of the name, for a second figure of the same notebook.
        alt: what tells the figure from the others of its cell; the site's captions have it.

    Returns:
        The written PNG, byte for byte, at half its pixels: 150 to the inch.
    """
    # A kernel has it already; elsewhere it takes long to import.
    from IPython.display import Image

    folder = ROOT / "figures" / parameters.profile
    name = _file_name(parameters, part)
    # No date in the SVG: the same data give the same file.
    for kind, metadata in (("svg", {"Date": None}), ("png", {})):
        with plots.style():
            write_atomically(
                folder / f"{name}.{kind}",
                lambda p, kind=kind, metadata=metadata: figure.savefig(  # type: ignore[misc]
                    p, format=kind, metadata=metadata
                ),
            )
    write_csv(folder / f"{name}.csv", data)
    plt.close(figure)
    png = (folder / f"{name}.png").read_bytes()
    return Image(data=png, format="png", retina=True, alt=alt or None)


def export_each(
    draw: Callable[[str, pd.DataFrame], Axes], data: pd.DataFrame, parameters: Named
) -> None:
    """:func:`export` and show one figure per data set.

    Every notebook has a figure under its own name alone: that of the first data set has no suffix,
    the others have the name of theirs.

    Args:
        draw: takes the name of a data set and its rows, and returns what it plots.
        data: the rows of all data sets, with the column "data".
        parameters: parameters of the notebook.
    """
    from IPython.display import display

    for number, (name, part) in enumerate(data.groupby("data", sort=False)):
        with plots.style():
            figure = draw(str(name), part).get_figure(root=True)
        assert figure is not None
        display(export(figure, part, parameters, part=str(name) if number else "", alt=str(name)))


def tabulate(
    rows: pd.DataFrame,
    parameters: Named,
    precision: int = 1,
    caption: str = "",
    headings: Mapping[str, str] | None = None,
) -> Styler | Markdown:
    """The rows as a table, or a sentence in its place where these parameters have no such runs.

    Args:
        rows: the rows, shown without their index.
        parameters: parameters of the notebook.
        precision: decimals of floats.
        caption: sentences above the table, where they depend on the rows.
        headings: the columns to show, each with its heading; by default all, under their names.
    """
    from IPython.display import Markdown

    if rows.empty:
        of = ", ".join(f"`{name}={value!r}`" for name, value in parameters.selected.items())
        return Markdown(f"*No such runs{' with ' * bool(of)}{of}.*")
    shown = rows if headings is None else tables.in_words(rows, headings)
    return tables.left_aligned(shown, precision=precision, caption=caption)


def tabulate_each(
    parts: Mapping[str, pd.DataFrame],
    parameters: Named,
    precision: int = 1,
    headings: Mapping[str, str] | None = None,
) -> None:
    """:func:`tabulate` and show several tables, each under its caption."""
    from IPython.display import display

    for caption, rows in parts.items():
        display(tabulate(rows, parameters, precision, caption, headings))


def compare(rows: Sequence[Quantity], parameters: Named) -> Styler:
    """Write the paper's values beside ours as CSV, with the suffix "paper"; return their table."""
    name = _file_name(parameters, "paper")
    write_csv(ROOT / "figures" / parameters.profile / f"{name}.csv", comparison.numbers(rows))
    return tables.left_aligned(comparison.cells(rows), index=True)


def conclude(verdicts: list[Verdict], parameters: Named) -> Styler:
    """One row per verdict; those at the default parameters are stored for README and report."""
    if not variant(parameters):
        path = ROOT / "results" / "verdicts" / parameters.profile / f"{parameters.notebook}.json"
        write_json(path, [v.model_dump() for v in verdicts])
    return tables.of_verdicts(verdicts)


def close(text: str, verdicts: list[Verdict]) -> Markdown:
    """The closing paragraph: what came out and why, and the number of verdicts of each outcome."""
    from IPython.display import Markdown

    return Markdown(f"{text} {tally(verdicts)}".strip())
