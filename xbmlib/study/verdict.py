"""Verdicts: what the paper claims, or what a study asks further, and what came out here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import pandas as pd
from pydantic import BaseModel, ConfigDict

from xbmlib.paper.claims.claim import Claim
from xbmlib.paper.rules import THIS_STUDY, Bar
from xbmlib.study import statistics
from xbmlib.study.statistics import ALPHA, Outcome, paired_t

# The words state the outcome; the mark repeats it.
MARKS: dict[Outcome, str] = {
    "agrees": "✓",
    "partly": "◐",
    "disagrees": "✗",
    "undecided": "?",
    "not testable here": "–",
}
# Units that a rule's case may end with, after a comma.
UNITS = {"percent", "GB"}
# As many cases as a brief verdict names.
FEW = 4
# Rule of :func:`clear`.
BY_TEST = "the mean over seeds is above 0 (paired one-sided t at 5%)"


def counted(outcomes: Iterable[Outcome]) -> str:
    """How many there are of each outcome that occurs, with its mark."""
    found = Counter(outcomes)
    return ", ".join(f"{mark} {name} {found[name]}" for name, mark in MARKS.items() if found[name])


class Verdict(BaseModel):
    """A claim of the paper, or a follow-up question, and what came out here.

    Attributes:
        claim: the paper's words with their place, or the question in one sentence.
        paper: the paper's figures, with their places.
        ours: our figures: mean ± standard deviation over seeds.
        rule: how the outcome follows from them.
        outcome: of :data:`xbmlib.study.statistics.Outcome`.
        data: data set, batch size and profile of our figures.
        seeds: how many seeds our figures are of.
        name: of the claim in :data:`xbmlib.paper.claims.CLAIMS`; empty for a follow-up, which
            counts as no claim of the paper.
        p: of the claim's test over seeds; None where nothing is tested.
        error: relative fall of the error, 1 - R@1, where the claim is of a gain in R@1.
        precision: gain in MAP@R, likewise.
        brief: those of our figures that are of the same quantity as the paper's; of more than
            :data:`FEW` their range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim: str
    paper: str
    ours: str
    rule: str
    outcome: Outcome
    data: str
    seeds: int
    name: str = ""
    p: float | None = None
    error: str = ""
    precision: str = ""
    brief: str = ""


Values = Mapping[str, pd.Series]
Names = Mapping[str, str]


def mean_spread(values: pd.Series, unit: str = "", digits: int = 1) -> str:
    """Format values as "mean ± standard deviation (n)"; the deviation needs two seeds."""
    spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{spread}{unit} (n={len(values)})"


def judged(
    claim: Claim,
    values: Values,
    *,
    data: str,
    names: Names,
    sizes: Values | None = None,
    unit: str = " points",
    digits: int = 1,
    detail: str = "",
    seeds: int = 0,
    arms: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]] | None = None,
) -> Verdict:
    """Apply the rule of a claim of the paper.

    Args:
        claim: the claim.
        values: of the rule's quantity: by case, one value per seed.
        data: data set, batch size and profile.
        names: the paper's data sets to those that stand for them, as the figures name them.
        sizes: of the rule's size quantity, if it has one of its own.
        unit: of the quantity.
        digits: decimals of the figures.
        detail: further figures, at the end of ours.
        seeds: number of seeds of the further figures, where there are no others.
        arms: by case, what a gain is of: both arms, a row per seed with R@1 and MAP@R in percent.

    Raises:
        ValueError: a case that the rule does not name.
    """
    rule = claim.rule
    lists = {case: list(series) for case, series in values.items()}
    outcome = statistics.outcome(
        rule, lists, None if sizes is None else {case: list(s) for case, s in sizes.items()}
    )
    # What is counted or computed has no spread over seeds: its values, as they are.
    exact = rule.kind == "deterministic"

    def figures(bars: tuple[Bar, ...], of: Values) -> str:
        return "; ".join(
            _measured(shown(bar.case, names), _exact(of[bar.case], digits) + unit if exact
                      else mean_spread(of[bar.case], unit, digits))
            for bar in bars
            if _has_all(of, bar.case)
        )  # fmt: skip

    ours = [figures(rule.bars, values)]
    if sizes:
        ours.append(f"{rule.size_quantity}: {figures(rule.sizes, sizes)}")
    of = sizes or values
    filled = {case: series.dropna() for case, series in of.items() if series.notna().any()}
    brief = (
        _span(filled, names, unit, digits)
        if len(filled) > FEW and {(bar.figure, bar.at_most) for bar in rule.bars} == {(0.0, False)}
        else figures(rule.sizes if sizes else rule.bars, of)
    )
    if rule.kind == "throughout" and brief:
        brief = f"at the least favourable point: {brief}"
        if own := {bar.limit for bar in rule.bars if bar.source.startswith(THIS_STUDY)}:
            brief += f"; {THIS_STUDY}: {', '.join(sorted(own))}"
    fall, gain = _beside(arms or {}, names)
    without = [shown(bar.case, names) for bar in rule.bars if not _has_all(values, bar.case)]
    if outcome == "not testable here" and 0 < len(without) < len(rule.bars):
        ours.append(f"no value by this rule: {'; '.join(without)}")
    return Verdict(
        claim=claim.quoted,
        paper=_figure_words(rule.sizes, unit) or "no figure stated",
        ours="; ".join(part for part in (*ours, detail) if part) or "not measured here",
        rule=rule.words,
        outcome=outcome,
        data=data,
        seeds=1 if exact else max((len(series) for series in values.values()), default=seeds),
        name=claim.name,
        p=statistics.p_value(rule, lists),
        error=fall,
        precision=gain,
        brief=brief,
    )


def _has_all(of: Values, case: str) -> bool:
    """Whether a case has values, and none is missing."""
    return len(of.get(case, ())) > 0 and not of[case].isna().any()


def _measured(case: str, value: str, between: str = " ") -> str:
    """A case and its value, with the unit, where the case names one, behind the value."""
    name, comma, unit = case.rpartition(", ")
    if comma and unit in UNITS:
        return f"{name}{between}{value} {unit}"
    return f"{case}{between}{value}"


def shown(case: str, names: Names) -> str:
    """A case of a rule by the names of the data sets that stand for the paper's."""
    if not names:
        return case
    return re.sub("|".join(map(re.escape, names)), lambda match: names[match[0]], case)


def _span(values: Values, names: Names, unit: str, digits: int) -> str:
    """The lowest and the highest mean of many cases, and in how many of them it is above 0."""
    means = pd.Series({shown(case, names): series.mean() for case, series in values.items()})
    ends = (f"{means[end]:.{digits}f} ({end})" for end in (means.idxmin(), means.idxmax()))
    seeds = max(map(len, values.values()))
    return (
        f"{' to '.join(ends)}{unit}; above 0 in {(means > 0).sum()} of {len(means)} cases "
        f"(n={seeds})"
    )


def _exact(values: pd.Series, digits: int) -> str:
    """The value, or the smallest and the largest of several."""
    ends = dict.fromkeys(f"{value:.{digits}f}" for value in (values.min(), values.max()))
    return " to ".join(ends)


def _figure_words(sizes: tuple[Bar, ...], unit: str) -> str:
    """The paper's figures with their places; a bar of this study stands in the rule alone."""
    return "; ".join(
        f"{_measured(bar.case, f'{bar.figure:g}{unit}', ': ')} ({bar.source})"
        for bar in sizes
        if not bar.source.startswith(THIS_STUDY)
    )


def _beside(arms: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]], names: Names) -> tuple[str, str]:
    """The relative fall of 1 - R@1 and the gain in MAP@R of each case, in words."""
    falls, gains = [], []
    for case, (before, after) in arms.items():
        fall = 100 * (after["R@1"] - before["R@1"]) / (100 - before["R@1"])
        falls.append(f"{shown(case, names)} {mean_spread(fall, '%')}")
        gain = after["MAP@R"] - before["MAP@R"]
        gains.append(f"{shown(case, names)} {mean_spread(gain)}")
    return "; ".join(falls), "; ".join(gains)


def judge(holds: bool | pd.Series, *measured: pd.Series) -> Outcome:
    """Outcome of a rule that has to hold in every seed; not testable where ``measured`` is NaN."""
    if any(values.isna().any() for values in measured):
        return "not testable here"
    return "agrees" if bool(pd.Series(holds).all()) else "disagrees"


def clear(*gains: pd.Series) -> Outcome:
    """Whether the mean of each series of paired gains is above 0: rule :data:`BY_TEST`.

    Returns:
        "disagrees" where a mean is below 0 by the same test; "undecided" where neither can be said,
        as with one seed; "not testable here" without any value.
    """
    if any(not len(gain) for gain in gains):
        return "not testable here"
    if any(len(gain) < 2 for gain in gains):
        return "undecided"
    if all(paired_t(list(gain))[1] < ALPHA for gain in gains):
        return "agrees"
    return "disagrees" if any(paired_t(list(-g))[1] < ALPHA for g in gains) else "undecided"
