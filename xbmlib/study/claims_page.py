"""The page of all verdicts, docs/claims.md: one block per claim."""

from __future__ import annotations

from typing import Any

import pandas as pd

from xbmlib.study.plan import NOTEBOOKS
from xbmlib.study.statistics import Outcome
from xbmlib.study.verdict import MARKS, counted

_HEAD = """\
# Claims and verdicts

Claims of the paper with a rule for each, under the notebook that shows it; further questions, and
other readings of what the paper says, follow at the end and count as none of them. A rule has a
*bar*, mostly 0, which an effect has to clear to be there, and often a value to reach, *its figure*,
which the paper prints or, where that is said, this study sets: *agrees* is both, *partly* the bar
alone. n is the number of seeds, ± the standard deviation over them. Tests are at 5%, unadjusted; p
is that of the claim, and in brackets, for information, adjusted over all claims by Holm's method.
Every R@1 is measured on rendered images, nothing on the paper's photographs.

This page is written by `python -m xbmlib.study.summary` from `results/verdicts/`;
`results/claims.csv` and `results/followups.csv` are the same as tables.
"""
_COLUMNS = ("| verdict | paper | ours | data | n |", "|---|---|---|---|---|")


def badge(outcome: Outcome) -> str:
    """An outcome with its mark, in bold."""
    return f"**{MARKS[outcome]} {outcome}**"


def cell(text: str) -> str:
    """Text that ends neither its cell of a Markdown table nor its row."""
    return " ".join(text.split()).replace("|", "\\|")


def page(claims: pd.DataFrame, followups: pd.DataFrame) -> str:
    """The page in Markdown.

    Args:
        claims: as returned by :func:`xbmlib.study.summary.claims`.
        followups: as returned by :func:`xbmlib.study.summary.followups`.
    """
    parts = [_HEAD]
    for title, rows in (("The paper's claims", claims), ("Further questions", followups)):
        parts.append(f"## {title}\n\n{len(rows)} verdicts: {counted(rows['outcome'])}.\n")
        for name in (*NOTEBOOKS, *sorted(set(rows["notebook"]) - set(NOTEBOOKS))):
            parts += _section(name, rows[rows["notebook"] == name])
    return "\n".join(parts)


def _section(name: str, rows: pd.DataFrame) -> list[str]:
    if rows.empty:
        return []
    link = f"[`{name}`](../notebooks/{name}.ipynb)" if name else "not judged by any notebook"
    lines = []
    for claim, group in rows.groupby(rows["claim"].map(_stem), sort=False):
        lines += [f"### {claim}", "", *_COLUMNS]
        for v in group.to_dict("records"):
            part = _particular(v["claim"])
            data = f"{part}; {v['data']}" if part else v["data"]
            cells = (badge(v["outcome"]), v["paper"], v["ours"] + _beside(v), data, str(v["seeds"]))
            lines.append(f"| {' | '.join(map(cell, cells))} |")
        rules = "; ".join(dict.fromkeys(group["rule"])).rstrip(".")
        lines += ["", f"Rule: {rules}. Notebook: {link}.", ""]
    return lines


def _beside(verdict: dict[str, Any]) -> str:
    """What a claim of a gain gives beside R@1, and the p of its test."""
    out = ""
    if verdict.get("error"):
        out += f"; error reduction: {verdict['error']}"
    if verdict.get("precision"):
        out += f"; gain in MAP@R: {verdict['precision']}"
    if not pd.isna(verdict.get("p")):
        out += f"; p = {verdict['p']:.2g} ({verdict['p_holm']:.2g})"
    return out


def _stem(claim: str) -> str:
    """A claim without what is particular to one of several verdicts on it."""
    return claim.partition("; here ")[0].rstrip(".")


def _particular(claim: str) -> str:
    return claim.partition("; here ")[2].rstrip(".")
