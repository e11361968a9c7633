"""The claims of the paper and our verdicts, as a table in Markdown."""

from __future__ import annotations

import re
from collections.abc import Collection

import pandas as pd

from xbmlib.study.statistics import Outcome
from xbmlib.study.verdict import MARKS


def summary(found: pd.DataFrame) -> str:
    """The number of claims of each outcome, in words.

    Args:
        found: as returned by :func:`xbmlib.study.summary.claims`.
    """
    number = found["outcome"].value_counts()
    each = (f"{_badge(outcome)} {number[outcome]}" for outcome in MARKS if outcome in number)
    return f"Of {len(found)} claims: {', '.join(each)}."


def table(found: pd.DataFrame, pages: Collection[str]) -> str:
    """A list-table of the claims; the paper's column and ours have different colours.

    Args:
        found: as returned by :func:`xbmlib.study.summary.claims` or ``followups``.
        pages: the notebooks that have a page, which a claim links to.
    """
    header = ("outcome", "claim", "the paper", "ours", "data, seeds")
    rows = ["```{list-table}", ":header-rows: 1", ":class: claims", ":widths: 12 30 20 22 16", ""]
    rows += _row(header)
    for row in found.to_dict("records"):
        name = row["notebook"]
        link = f"[{name}](notebooks/{name}.ipynb)" if name in pages else plain(name)
        claim = f"{plain(row['claim'])} [Rule: {plain(row['rule'])}. {link}]{{.rule}}"
        data = f"{plain(row['data'])}; n = {row['seeds']}"
        rows += _row((_badge(row["outcome"]), claim, plain(row["paper"]), plain(row["ours"]), data))
    return "\n".join([*rows, "```"])


def plain(text: str) -> str:
    """Text with every Markdown character escaped."""
    return re.sub(r"([\\`*_{}\[\]<>#|$~^&])", r"\\\1", text)


def _row(cells: tuple[str, ...]) -> list[str]:
    return [f"{'*' if i == 0 else ' '} - {cell}" for i, cell in enumerate(cells)]


def _badge(outcome: Outcome) -> str:
    return f"[{MARKS[outcome]} {outcome}]{{.badge .{outcome.split()[0]}}}"
