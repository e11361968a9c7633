"""Tables as the notebooks show them: HTML, aligned on the left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from xbmlib.plots.style import COLOURS
from xbmlib.study.statistics import Outcome
from xbmlib.study.verdict import MARKS, Verdict

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

_LEFT: Any = [{"selector": "th, td, caption", "props": "text-align: left; vertical-align: top;"}]
# Colour of an outcome, as a key of the figures' colours; of the others that of the paper, grey.
_COLOURS: dict[Outcome, str] = {"agrees": "correct", "disagrees": "incorrect"}
_YES = {True: "yes", False: "no"}


def in_words(rows: pd.DataFrame, headings: Mapping[str, str]) -> pd.DataFrame:
    """The columns that have a heading, in the order of the headings; yes or no for True or False.

    Args:
        rows: the rows.
        headings: name of a column to its heading; those that the rows lack are passed over.

    Example:
        >>> rows = pd.DataFrame({"lr": [1e-4], "fits": [True], "run": ["f3"]})
        >>> in_words(rows, {"fits": "fits", "lr": "learning rate", "bar": "aim"}).values.tolist()
        [['yes', 0.0001]]
    """
    there = [name for name in headings if name in rows.columns]
    cells = rows[there].map(lambda v: _YES[bool(v)] if isinstance(v, bool | np.bool_) else v)
    return cells.rename(columns=headings)


def left_aligned(
    rows: pd.DataFrame, *, index: bool = False, precision: int = 1, caption: str = ""
) -> Styler:
    """A frame as a table.

    Args:
        rows: the rows; NaN becomes an empty cell.
        index: whether to show the index, each of its outer values once.
        precision: decimals of floats; thousands are separated by commas.
        caption: sentences above the table, if any.
    """
    styled = rows.style.set_table_styles(_LEFT)
    if caption:
        styled = styled.set_caption(caption)
    styled = styled.format(precision=precision, thousands=",", na_rep="")
    return styled if index else styled.hide()


def of_verdicts(verdicts: list[Verdict]) -> Styler:
    """One row per verdict: the outcome first, with its mark and colour; the rule last.

    Without a verdict it has its head alone.
    """
    rows = pd.DataFrame(
        [
            {
                "verdict": f"{MARKS[v.outcome]} {v.outcome}",
                "claim": v.claim,
                "paper": v.paper,
                "ours": v.ours,
                "p": "" if v.p is None else f"{v.p:.2g}",
                "n": v.seeds,
                "data": v.data,
                "rule": v.rule,
            }
            for v in verdicts
        ],
        columns=["verdict", "claim", "paper", "ours", "p", "n", "data", "rule"],
    )
    colours = [COLOURS[_COLOURS.get(v.outcome, "paper")] for v in verdicts]
    return left_aligned(rows).apply(
        lambda _: [
            f"border-left: 0.5em solid {colour}; background-color: {colour}22; font-weight: bold; "
            "white-space: nowrap;"
            for colour in colours
        ],
        subset=["verdict"],
    )
