"""What every notebook shares: checked parameters, exported figures, a verdict."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self

import pandas as pd
from matplotlib.figure import Figure
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from xbmlib.datasets.published import VARIABLE
from xbmlib.storage import ROOT, write_atomically, write_csv, write_json
from xbmlib.study.profiles import PROFILES, Profile

ProfileName = Literal["smoke", "quick", "full", "paper", "released"]
Outcome = Literal["agrees", "disagrees", "not testable here"]

# Names that a kernel has before the first cell runs.
_KERNEL = {"In", "Out", "exit", "quit", "open", "get_ipython"}


class ParameterError(ValueError):
    """A notebook parameter that cannot be: names it, its value and the remedy."""


class Checked(BaseModel):
    """StudyParameters of a notebook, checked; a subclass names them.

    Attributes:
        notebook: name of the notebook's file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    notebook: ClassVar[str]

    @classmethod
    def of(cls, namespace: Mapping[str, Any]) -> Self:
        """Take the parameters from the notebook's ``globals()``, in its first cell of code.

        Whatever else stands there was injected under a name that the notebook does not know,
        of which papermill only warns.

        Raises:
            ParameterError: an unknown name, a wrong type or a value out of range.
        """
        given = {
            name: value
            for name, value in namespace.items()
            if not name.startswith("_")
            and name not in _KERNEL
            and not isinstance(value, type)
            and type(value).__name__ != "module"
        }
        try:
            return cls(**given)
        except ValidationError as error:
            lines = [cls._explain(e) for e in error.errors()]
            raise ParameterError("\n".join(lines)) from None

    @classmethod
    def _explain(cls, error: Any) -> str:
        name = str(error["loc"][0]) if error["loc"] else ""
        known = ", ".join(cls.model_fields)
        if error["type"] == "extra_forbidden":
            close = difflib.get_close_matches(name, cls.model_fields, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            return f"{name}={error['input']!r}: no such parameter; {hint}Known: {known}"
        message = error["msg"].removeprefix("Value error, ")
        return f"{name}={error['input']!r}: {message[0].lower()}{message[1:]}"


class StudyParameters(Checked):
    """StudyParameters that every notebook of a figure takes; it adds its own by subclassing.

    Attributes:
        profile: size of every run.
        seeds: number of seeds, from 0 up; None for the profile's own.
        data_root: folder of the paper's data sets, which the profiles of its scale need; None for
            that of the environment variable XBM_DATA.
    """

    profile: ProfileName = "quick"
    seeds: Annotated[int, Field(ge=1, le=100)] | None = None
    data_root: Annotated[str | None, Field(validate_default=True)] = None

    @field_validator("data_root")
    @classmethod
    def _found(cls, folder: str | None, info: ValidationInfo) -> str | None:
        if folder is not None:
            if not Path(folder).is_dir():
                raise ValueError("no such folder; give the one that holds the data sets' own")
            # For the processes that train, too.
            os.environ[VARIABLE] = str(Path(folder).resolve())
        profile = PROFILES.get(info.data.get("profile", ""))
        if profile and profile.setting and not os.environ.get(VARIABLE):
            raise ValueError(
                f"profile={profile.name!r} runs on {profile.told()}: give the folder that holds "
                "them as data_root"
            )
        return folder

    @property
    def size(self) -> Profile:
        """The profile that is named."""
        return PROFILES[self.profile]

    @property
    def seed_range(self) -> range:
        """The seeds to run."""
        return range(self.seeds or self.size.seeds)


class Verdict(BaseModel):
    """One claim of the paper beside ours.

    Attributes:
        claim: the paper's, in one sentence.
        paper: its figure, with its place.
        ours: our figure: mean ± spread.
        outcome: by a rule that could have come out otherwise, told in ``rule``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim: str
    paper: str
    ours: str
    rule: str
    outcome: Outcome
    data: str
    seeds: int


class Named(Protocol):
    """What tells where a notebook's figure and verdicts go."""

    notebook: ClassVar[str]

    @property
    def profile(self) -> str:
        """Folder of figures/ and of results/verdicts/."""


def mean_spread(values: pd.Series, unit: str = "", digits: int = 1) -> str:
    """ "mean ± standard deviation (n)" of a measured figure; the spread needs two seeds."""
    spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{spread}{unit} (n={len(values)})"


def judge(holds: bool | pd.Series, *measured: pd.Series) -> Outcome:
    """Outcome of a rule: it has to hold in every seed, and what it reads to have been measured."""
    if any(values.isna().any() for values in measured):
        return "not testable here"
    return "agrees" if bool(pd.Series(holds).all()) else "disagrees"


def clear(*gains: pd.Series) -> Outcome:
    """Whether every one of these paired gains is clear of zero; one seed cannot tell.

    Clear is a mean above twice its standard error over seeds.
    """
    if any(len(gain) < 2 for gain in gains):
        return "not testable here"
    return judge(all(bool(g.mean() > 2 * g.std(ddof=1) / len(g) ** 0.5) for g in gains))


def export(figure: Figure, data: pd.DataFrame, parameters: Named, part: str = "") -> None:
    """Write a notebook's figure as SVG and PNG, with the CSV that it was drawn from.

    Args:
        figure: to write.
        data: that it shows.
        parameters: of the notebook, whose name the files have.
        part: name of a further figure of the same notebook.
    """
    folder = ROOT / "figures" / parameters.profile
    name = f"{parameters.notebook}_{part}" if part else parameters.notebook
    for kind in ("svg", "png"):
        # No date in the SVG: the same data give the same file.
        metadata = {"Date": None} if kind == "svg" else {}
        path = folder / f"{name}.{kind}"
        write_atomically(
            path,
            lambda p, kind=kind, metadata=metadata: figure.savefig(  # type: ignore[misc]
                p, format=kind, metadata=metadata
            ),
        )
    write_csv(folder / f"{name}.csv", data)


def conclude(verdicts: list[Verdict], parameters: Named) -> pd.DataFrame:
    """Store a notebook's verdicts, for the README and the report; return them as a table."""
    path = ROOT / "results" / "verdicts" / parameters.profile / f"{parameters.notebook}.json"
    write_json(path, [v.model_dump() for v in verdicts])
    return pd.DataFrame([v.model_dump() for v in verdicts])
