"""What README.md and docs/results.md generate from results/, part by part."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

import pandas as pd

from xbmlib import datasets
from xbmlib.paper import COUNTERPARTS, claims
from xbmlib.paper.arms import loss_name
from xbmlib.study.claims_page import badge, cell
from xbmlib.study.figures.diagnosis import HEALTHY_FROM, HURT_BELOW
from xbmlib.study.protocol import AS_PRINTED, finished
from xbmlib.study.statistics import Outcome
from xbmlib.study.verdict import MARKS, counted

# The bundled data sets, in words.
_DATA = {
    "hanzi": "Chinese characters in many typefaces",
    "emoji": "emoji in the designs of many vendors",
    "hangul": "Korean syllables in many typefaces",
}
# The claims that the README shows, by name, and what each says.
HEADLINES = {
    claims.GAINS_AT_BATCH_16: "a gain at batch 16, in the mean over R_M (paper: over 20 points)",
    claims.CONTRASTIVE_GAINS: "a gain at batch 64 with the contrastive loss (paper: 12 to 22.5 "
    "points)",
    claims.EVERY_LOSS_GAINS: "a gain with each of three losses on each of three data sets",
    claims.BATCH_16_BEATS_256: "batch 16 with memory above batch 256 with no memory",
    claims.BATCH_MATTERS_LITTLE: "a small effect of the batch size with memory",
    claims.DRIFT_SMALL: "a feature drift that is consistently small (this study's bar: 0.1 within "
    "10 iterations)",
    claims.NEGATIVES_THROUGHOUT: "valid negatives from the memory throughout the training",
    claims.LITTLE_EXTRA_COST: "little extra time and memory",
}
# What is known of a claim as long as it is not testable here.
UNTESTED = {
    claims.EVERY_LOSS_GAINS: " (the triplet and the multi-similarity loss are measured in short "
    "runs of an earlier protocol only, where R@1 falls with the memory)",
}
# How the conclusion speaks of each outcome.
_SAID: dict[Outcome, str] = {
    "agrees": "as in the paper",
    "partly": "in part",
    "disagrees": "claimed, and not found here",
    "undecided": "undecided",
    "not testable here": "not testable with these runs",
}


def headlines(rows: pd.DataFrame) -> pd.DataFrame:
    """The verdicts on :data:`HEADLINES`, in this order, with what they say as "phrase".

    Args:
        rows: as returned by :func:`xbmlib.study.summary.claims`.
    """
    phrases = {claim.name: phrase for claim, phrase in HEADLINES.items()}
    found = rows.set_index("name").loc[list(phrases)].assign(phrase=phrases.values())
    for claim, known in UNTESTED.items():
        if found.loc[claim.name, "outcome"] == "not testable here":
            found.loc[claim.name, "phrase"] += known
    return found


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
        "The paper's main claims, by what came out here:\n\n" + "\n".join(parts) + "\n\n"
        f"Of all {len(rows)} claims of the paper: {counted(rows['outcome'])} ([each with its rule]"
        "(docs/claims.md)). Every R@1 is measured on rendered characters and emoji with a compact "
        "network; costs are also measured with GoogLeNet on random images. Nothing is measured on "
        "the paper's photographs."
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


def data_sets() -> str:
    """The bundled counterparts of the paper's data sets in Markdown: what they are and how large.

    Classes are those of each part: training and test classes differ.
    """
    lines = [
        "| data | stands for | training images (N) | classes | test images | classes |",
        "|---|---|---|---|---|---|",
    ]
    for name, what in _DATA.items():
        data = datasets.load(name)
        tested = [data.query, *([] if data.gallery is None else [data.gallery])]
        sizes = (len(data.train), len(data.train.classes), sum(map(len, tested)),
                 len(data.query.classes))  # fmt: skip
        cells = " | ".join(f"{size:,}" for size in sizes)
        lines.append(f"| `{name}`, {what} | {COUNTERPARTS[name][1]} | {cells} |")
    return "\n".join(lines)


def effort(runs: Path) -> str:
    """What the stored runs took, in one sentence.

    Args:
        runs: folder of the run store.
    """
    hours: dict[str, float] = defaultdict(float)
    paths = list(runs.glob("*/provenance.json"))
    for path in paths:
        split = json.loads((path.parent / "config.json").read_text(encoding="utf-8"))["split"]
        seconds = json.loads(path.read_text(encoding="utf-8"))["seconds"]
        hours[split] += seconds / 3600
    return (
        f"The {len(paths)} runs in `results/runs` took {sum(hours.values()):.0f} hours of one "
        f"core, {hours['validation']:.0f} of them on the validation classes, for searches."
    )


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


def storm(rows: pd.DataFrame) -> str:
    """How many faults were survived, in one sentence.

    Args:
        rows: results/storm.csv.
    """
    tried, survived = rows["tried"].sum(), rows["survived"].sum()
    killed = rows.loc[rows["kind"].str.contains("SIGKILL|killed"), "tried"].sum()
    mutated = rows.loc[rows["kind"].str.startswith("mutated"), "tried"].sum()
    return (
        f"`make storm` tries {len(rows)} kinds of fault at random: {survived:,} of {tried:,} "
        f"trials were survived, {killed} of them with a process that is killed, {mutated:,} with "
        "a mutated file or set of parameters ([docs/faults.md](docs/faults.md))."
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
