"""Pieces of the paragraph that closes each notebook; every word follows from the numbers."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from xbmlib.study.verdict import Verdict, clear, counted


def listed(parts: Sequence[str]) -> str:
    """Such as "a, b and c"."""
    *rest, last = parts
    return f"{', '.join(rest)} and {last}" if rest else last


def change(values: pd.Series, unit: str = "points", digits: int = 1) -> str:
    """How something changes: such as "rises by 2.6 ± 0.4 points".

    It rises or falls where the mean over seeds does (paired one-sided t at 5%); else, as with one
    seed, the change is given with its sign and called undecided.

    Args:
        values: the change, one value per seed.
        unit: of the values.
        digits: decimals.
    """
    if values.empty or values.isna().any():
        return "is not measured here"
    mean, outcome = values.mean(), clear(values)
    spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    if outcome in ("agrees", "disagrees"):
        verb = "rises" if outcome == "agrees" else "falls"
        return f"{verb} by {abs(mean):.{digits}f}{spread} {unit}"
    return f"changes by {mean:+.{digits}f}{spread} {unit} (undecided)"


def beside(value: float | None, unit: str = "") -> str:
    """The paper's value in brackets, or nothing."""
    return "" if value is None else f" (paper: {value:,g}{unit})"


def beside_change(value: float | None) -> str:
    """The paper's change of R@1 in brackets, with its sign, or nothing."""
    return "" if value is None else f" (paper: {value:+g} points)"


def tally(verdicts: Sequence[Verdict]) -> str:
    """How many verdicts there are of each outcome, the paper's claims apart from the questions."""
    sentences = []
    for kind, found in (
        ("the paper's claims", [v for v in verdicts if v.name]),
        ("further questions", [v for v in verdicts if not v.name]),
    ):
        if found:
            sentences.append(f"Verdicts on {kind}: {counted(v.outcome for v in found)}.")
    return " ".join(sentences)
