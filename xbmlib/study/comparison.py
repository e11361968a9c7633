"""The paper's values beside ours: one row per quantity, as every notebook shows and exports it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from xbmlib.study.profiles import Profile
from xbmlib.study.verdict import mean_spread


class Quantity(NamedTuple):
    """A quantity, as it was measured here and as the paper prints it.

    Attributes:
        of: what it is of: data set, loss, batch size.
        what: the quantity, with its unit.
        ours: one value per seed; without any, or with NaN, it was not measured here.
        paper: the paper's value; None where it prints none.
        qualifier: the paper's word before its value, such as "over".
        digits: decimals of ours, and of the paper's unless it is qualified.
    """

    of: str
    what: str
    ours: pd.Series
    paper: float | None = None
    qualifier: str = ""
    digits: int = 1

    @property
    def measured(self) -> bool:
        """Whether it was measured here, in every seed."""
        return len(self.ours) > 0 and not self.ours.isna().any()


def standing(profile: Profile, name: str) -> str:
    """A data set of the paper with what stands for it: "hanzi for SOP", or "SOP" itself."""
    ours = profile.stands_for[name]
    return name if ours == name else f"{ours} for {name}"


def at(values: pd.Series, *key: object) -> pd.Series:
    """The values of a key, by the remaining levels of the index; none where it has no such key.

    Args:
        values: with a sorted index of several levels.
        key: values of the first levels.
    """
    return values.loc[key] if key in values.index else values.iloc[:0]


def numbers(rows: Sequence[Quantity]) -> pd.DataFrame:
    """The rows as a tidy frame.

    Returns:
        of, what, paper, ours (mean over the seeds), spread (standard deviation over them, of at
        least two), n (number of seeds), difference (ours minus the paper's); NaN where there is no
        value.
    """
    return pd.DataFrame(
        [
            {
                "of": row.of,
                "what": row.what,
                "paper": row.paper,
                "ours": row.ours.mean() if row.measured else None,
                "spread": row.ours.std(ddof=1) if row.measured else None,
                "n": len(row.ours) if row.measured else 0,
                "difference": row.ours.mean() - row.paper
                if row.measured and row.paper is not None
                else None,
            }
            for row in rows
        ],
        columns=["of", "what", "paper", "ours", "spread", "n", "difference"],
    )


def cells(rows: Sequence[Quantity]) -> pd.DataFrame:
    """The rows as they are read: columns paper, ours and Δ, empty where there is no value.

    Returns:
        Text, indexed by what the quantities are of and by the quantities.
    """
    return pd.DataFrame(
        [
            (_paper(row), mean_spread(row.ours, digits=row.digits) if row.measured else "",
             _difference(row))
            for row in rows
        ],
        columns=["paper", "ours", "Δ"],
        index=pd.MultiIndex.from_arrays(
            [[row.of for row in rows], [row.what for row in rows]], names=["", " "]
        ),
    )  # fmt: skip


def _paper(row: Quantity) -> str:
    if row.paper is None:
        return ""
    if row.qualifier:
        return f"{row.qualifier} {row.paper:,g}"
    return f"{row.paper:,.{row.digits}f}"


def _difference(row: Quantity) -> str:
    if not row.measured or row.paper is None:
        return ""
    return f"{row.ours.mean() - row.paper:+,.{row.digits}f}"
