"""What README.md and docs/results.md generate from results/, part by part."""

from __future__ import annotations

import re

import pandas as pd

from xbmlib.paper import claims
from xbmlib.paper.arms import loss_name
from xbmlib.study.claims_page import badge, cell
from xbmlib.study.figures.diagnosis import HEALTHY_FROM, HURT_BELOW
from xbmlib.study.protocol import AS_PRINTED, finished
from xbmlib.study.statistics import Outcome
from xbmlib.study.verdict import MARKS, counted

# The claims that the README shows, by name, and what each says.
HEADLINES = {
    claims.GAINS_AT_BATCH_16: "a gain at batch 16, in the mean over R_M (paper: over 20 points)",
    claims.CONTRASTIVE_GAINS: "a gain at batch 64 with the contrastive loss (paper: 12 to 22.5 "
    "points)",
    claims.EVERY_LOSS_GAINS: "a gain with each of three losses on each of three data sets",
    claims.BATCH_16_BEATS_256: "batch 16 with memory above batch 256 with no memory",
    claims.BATCH_MATTERS_LITTLE: "a small effect of the batch size with memory",
    claims.DRIFT_SMALL: "a small feature drift",
    claims.NEGATIVES_THROUGHOUT: "valid negatives from the memory throughout the training",
    claims.LITTLE_EXTRA_COST: "little extra time and memory",
}
# How the conclusion speaks of each outcome.
_SAID: dict[Outcome, str] = {
    "agrees": "as in the paper",
    "partly": "in part",
    "disagrees": "not as in the paper",
    "undecided": "undecided",
    "not testable here": "not testable with these runs",
}


def headlines(rows: pd.DataFrame) -> pd.DataFrame:
    """The verdicts on :data:`HEADLINES`, in this order, with what they say as "phrase".

    Args:
        rows: as returned by :func:`xbmlib.study.summary.claims`.
    """
    phrases = {claim.name: phrase for claim, phrase in HEADLINES.items()}
    return rows.set_index("name").loc[list(phrases)].assign(phrase=phrases.values())


def conclusion(rows: pd.DataFrame) -> str:
    """What came out of the headline claims, a line an outcome, what of all, and on which data.

    Args:
        rows: as returned by :func:`xbmlib.study.summary.claims`.
    """
    shown = headlines(rows)
    parts = []
    for outcome, said in _SAID.items():
        phrases = shown.loc[shown["outcome"] == outcome, "phrase"]
        if len(phrases):
            parts.append(f"- {MARKS[outcome]} *{said}*: {'; '.join(phrases)}")
    return (
        "Of the main claims, these came out\n\n" + "\n".join(parts) + "\n\n"
        f"Of all {len(rows)} claims of the paper: {counted(rows['outcome'])} ([each with its rule]"
        "(docs/claims.md)). Every R@1 is measured on rendered characters and emoji with a compact "
        "network; costs are also of GoogLeNet on random input; nothing is measured on the paper's "
        "photographs."
    )


def table(rows: pd.DataFrame) -> str:
    """The headline claims in Markdown: claim, paper, ours, verdict, notebook.

    The paper's figures stand without their places, ours without what belongs to them: both are in
    docs/claims.md.
    """
    lines = ["| claim | paper | ours | verdict | notebook |", "|---|---|---|---|---|"]
    for v in headlines(rows).itertuples():
        link = f"[{v.notebook}](notebooks/{v.notebook}.ipynb)" if v.notebook else ""
        paper = re.sub(r" \([^()]*\)", "", v.paper)
        cells = (cell(v.claim), cell(paper), cell(v.brief or v.ours), badge(v.outcome), link)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def calibration(runs: pd.DataFrame) -> str:
    """How often the diagnosis is right, in one sentence.

    Args:
        runs: results/diagnosis.csv.
    """
    warned = runs[runs["use"] == "calibration"].groupby("outcome")["warned"].agg(["size", "sum"])
    kinds = ["hurt", "between", "healthy"]
    hurt, between, healthy = (row for _, row in warned.reindex(kinds, fill_value=0).iterrows())
    return (
        f"On runs that did not set its thresholds it warned in {hurt['sum']} of the {hurt['size']} "
        f"where a memory hurt (R@1 below {HURT_BELOW:g} of that with no memory), in "
        f"{healthy['sum']} of the {healthy['size']} healthy ones (at least {HEALTHY_FROM:g} of it) "
        f"and in {between['sum']} of the {between['size']} in between "
        "([`results/diagnosis.csv`](results/diagnosis.csv))."
    )


def protocol(trials: pd.DataFrame) -> str:
    """The best trial of each arm under the protocol, where both have equally many.

    Beside it stands the form of the memory that the paper prints (Section 3.3, Algorithm 1).

    Args:
        trials: results/search_protocol.csv.
    """
    lines = [
        "| loss, batch, data | trials of each arm | no memory | R_M = 1 | R_M = 1 as printed |"
    ]
    lines.append("|---|---|---|---|---|")
    for (loss, batch, data), group in trials.groupby(["loss", "batch", "data"], sort=False):
        arms = [group[group["ratio"] == ratio] for ratio in (0, 1)]
        if 1 < len(arms[0]) == len(arms[1]):
            best = [arm.loc[arm["MAP@R"].idxmax()] for arm in arms]
            printed = arms[1]
            for name, value in AS_PRINTED.items():
                printed = printed[printed[name] == value]
            cells = [f"{row['R@1']:.1f} / {row['MAP@R']:.1f}"
                     for row in (*best, *printed.to_dict("records"))]  # fmt: skip
            cells += ["not tried"] * (3 - len(cells))
            count = f"{len(arms[0])}"
            if not finished(loss, batch, data):
                count += ", of a search that has not finished"
            lines.append(
                f"| {loss_name(loss)}, {batch}, `{data}` | {count} | {' | '.join(cells)} |"
            )
    return "\n".join(lines)
