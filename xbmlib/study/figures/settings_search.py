"""The trials by which the protocol's settings were chosen, equally many in both arms."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import pandas as pd
from pydantic import Field

from xbmlib.paper.arms import arm
from xbmlib.study.measured import measured
from xbmlib.study.notebook import Checked, ParameterError
from xbmlib.study.protocol import FORM, FORMS, finished
from xbmlib.study.search_protocol import GRIDS, margin_of
from xbmlib.study.words import listed

# The form of the memory in the grid.
DEFAULT = next(name for name, form in FORMS.items() if form == FORM)


class Parameters(Checked):
    """Attributes: loss, batch: of the search to show.

    ``profile`` only names the folder of the figure: there is one search.
    """

    notebook: ClassVar[str] = "settings_search"
    profile: ClassVar[Literal["benchmarks"]] = "benchmarks"

    loss: Literal["contrastive", "triplet", "multi_similarity"] = "contrastive"
    batch: Annotated[int, Field(ge=2)] = 16


def frame(parameters: Parameters) -> pd.DataFrame:
    """The trials that have finished, from results/search_protocol.csv.

    Returns:
        One row per trial: data, arm ("no memory" or "memory (R_M = 1)"), lr, margin (λ or η), form
        (of the memory, a key of :data:`xbmlib.study.protocol.FORMS`), R@1 and MAP@R in percent on
        the validation classes, run, finished (whether the search on the data set has).

    Raises:
        ParameterError: no trial of this loss and batch size has finished.
    """
    found = measured("search_protocol")
    found = found[(found["loss"] == parameters.loss) & (found["batch"] == parameters.batch)]
    if found.empty:
        searched = ", ".join(f"{loss} at {batch}" for batch, loss in GRIDS)
        raise ParameterError(
            f"loss={parameters.loss!r}, batch={parameters.batch}: no trial has finished; the "
            f"searches are {searched}"
        )
    return pd.DataFrame(
        {
            "data": found["data"],
            "arm": found["ratio"].map(arm),
            "lr": found["lr"],
            "margin": found[_margin(parameters)],
            "form": [_form(row) for row in found.to_dict("records")],
            "R@1": found["R@1"],
            "MAP@R": found["MAP@R"],
            "run": found["run"],
            "finished": [
                finished(parameters.loss, parameters.batch, name) for name in found["data"]
            ],
        }
    )


def _margin(parameters: Parameters) -> str:
    return margin_of(GRIDS[parameters.batch, parameters.loss])


def symbol(parameters: Parameters) -> str:
    """The margin as the paper writes it: λ, or η of the triplet loss."""
    return {"lam": "λ", "eta": "η"}[_margin(parameters)]


def _form(row: dict[str, object]) -> str | None:
    return next((n for n, f in FORMS.items() if f == {name: row[name] for name in FORM}), None)


def best(data: pd.DataFrame) -> pd.DataFrame:
    """The best trial of each arm, by MAP@R.

    Returns:
        One row per data set and arm: data, arm, trials (of the arm), lr, margin, form, R@1, MAP@R.
    """
    groups = data.groupby(["data", "arm"], sort=False)
    top = data.loc[groups["MAP@R"].idxmax()].set_index(["data", "arm"])
    top.insert(0, "trials", groups.size())
    return top.drop(columns=["run", "finished"]).reset_index()


def headings(parameters: Parameters) -> dict[str, str]:
    """Headings of the tables, by the columns of :func:`best` and :func:`forms`."""
    return {
        "data": "data",
        "arm": "arm",
        "trials": "trials",
        "lr": "learning rate",
        "margin": symbol(parameters),
        "form": "form of the memory",
        "R@1": "R@1, %",
        "MAP@R": "MAP@R, %",
    }


def forms(data: pd.DataFrame) -> pd.DataFrame:
    """The forms of Section 3.3, at the settings of the memory's best trial in its default form.

    Returns:
        One row per data set and form: data, form, R@1, MAP@R; of those data sets where more than
        the default form was tried.
    """
    tried = data.dropna(subset="form")
    parts = []
    for _, part in tried.groupby("data", sort=False):
        top = part.loc[part[part["form"] == DEFAULT]["MAP@R"].idxmax()]
        like = part[(part["lr"] == top["lr"]) & (part["margin"] == top["margin"])]
        if len(like) > 1:
            parts.append(like[["data", "form", "R@1", "MAP@R"]])
    columns = ["data", "form", "R@1", "MAP@R"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def closing(data: pd.DataFrame, parameters: Parameters) -> str:
    """Whether the comparison is fair, in words."""
    parts = []
    for name, group in data.groupby("data", sort=False):
        trials = group["arm"].value_counts()
        top = best(group).set_index("arm")
        even = "equally many" if trials.nunique() == 1 < len(trials) else "not yet equally many"
        counts = listed([f"{arm}: {n}" for arm, n in trials.sort_index().items()])
        found = "; ".join(
            f"the best with {arm} has {symbol(parameters)} = {row['margin']:g} and reaches "
            f"{row['MAP@R']:.1f}% in MAP@R, {row['R@1']:.1f}% in R@1"
            for arm, row in top.iterrows()
        )
        parts.append(f"On {name} both arms have {even} trials ({counts}): {found}.")
        ends = (group["margin"].min(), group["margin"].max())
        edge = [str(arm) for arm, row in top.iterrows() if row["margin"] in ends]
        if edge:
            parts.append(
                f"That is the smallest or the largest {symbol(parameters)} tried with "
                f"{listed(edge)}, so that what it reaches may be understated."
            )
        if not group["finished"].all():
            parts.append(f"The search on {name} has not finished.")
    return " ".join(parts)
