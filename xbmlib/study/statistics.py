"""Tests over seeds, and the outcome of a claim by its rule (:mod:`xbmlib.paper.rules`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from xbmlib.paper.rules import Bar, Rule

Outcome = Literal["agrees", "partly", "disagrees", "undecided", "not testable here"]
Values = Mapping[str, Sequence[float]]
ALPHA = 0.05


def paired_t(differences: Sequence[float]) -> tuple[float, float]:
    """One-sided t-test that the mean of paired differences is above 0.

    Args:
        differences: (n,), n >= 2, one per seed. Where they are all equal, t is ±∞; where they are
            all 0, t is 0 and p is 0.5.

    Returns:
        t with n - 1 degrees of freedom, and p in [0, 1]. At n = 3, p < 0.05 is t > 2.92.

    Raises:
        ValueError: fewer than two differences.
    """
    n = len(differences)
    if n < 2:
        raise ValueError(f"{n} differences: a t-test takes at least two seeds")
    mean, spread = float(np.mean(differences)), float(np.std(differences, ddof=1))
    if spread > 0:
        t = mean / (spread / math.sqrt(n))
    else:
        t = math.copysign(math.inf, mean) if mean else 0.0
    return t, float(stdtr(n - 1, -t))


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Holm's adjusted p of each test: rejecting those below α keeps the family's error below α.

    Args:
        p_values: (n,) in [0, 1], in any order.

    Returns:
        (n,) in the same order.

    Raises:
        ValueError: a p outside [0, 1], or NaN.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values {p_values}: every one has to be in [0, 1]")
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def p_value(rule: Rule, values: Values) -> float | None:
    """The p of a claim: the largest of its cases, since it claims all of them.

    Args:
        rule: of the claim.
        values: as :func:`outcome` takes them.

    Returns:
        None where nothing is tested: a deterministic rule, a missing case, a single seed.
    """
    cases = [_measured(values, bar.case) for bar in rule.bars]
    if rule.kind == "deterministic" or any(len(case) < 2 for case in cases):
        return None
    return max(_inside(rule, bar, case) for bar, case in zip(rule.bars, cases, strict=True))


def outcome(rule: Rule, values: Values, sizes: Values | None = None) -> Outcome:
    """Apply the rule of a claim.

    A claim holds if it holds in every case, and one case that refutes it is enough. A case is
    undecided where the 90% interval of its mean holds both sides of its bar, as it does with one
    seed.

    Args:
        rule: of the claim.
        values: of the rule's quantity: by case, one value per seed; for "throughout" the seed's
            least favourable point.
        sizes: of the rule's ``size_quantity``; left out where it has none, since its figures are
            then of ``values``.

    Returns:
        "not testable here" where a case is missing or has a NaN and no other refutes the claim;
        "partly" where every bar is cleared and some figure is not reached.

    Raises:
        ValueError: a case that the rule does not name.
    """
    if sizes is None:
        sizes = {} if rule.size_quantity else values
    else:
        _named(sizes, rule.sizes)
    _named(values, rule.bars)
    found = [_case(rule, bar, _measured(values, bar.case)) for bar in rule.bars]
    for worst in ("disagrees", "not testable here", "undecided"):
        if worst in found:
            return worst
    measured = [(bar, _measured(sizes, bar.case)) for bar in rule.sizes]
    if not all(case for _, case in measured):
        return "not testable here"
    # Every seed where the rule is of every point or of no seeds at all, else their mean.
    every = rule.kind in ("throughout", "deterministic")
    reached = [
        bar.clearance(value) >= 0
        for bar, case in measured
        for value in (case if every else [float(np.mean(case))])
    ]
    return "agrees" if all(reached) else "partly"


def _named(values: Values, bars: tuple[Bar, ...]) -> None:
    known = [bar.case for bar in bars]
    if unknown := set(values) - set(known):
        raise ValueError(f"cases {sorted(unknown)} are not the rule's: name them as in {known}")


def _measured(values: Values, case: str) -> list[float]:
    """The case's values; none where it was not measured in every seed."""
    found = list(values.get(case, ()))
    return [] if any(math.isnan(value) for value in found) else found


def _case(rule: Rule, bar: Bar, case: list[float]) -> Outcome:
    if not case:
        return "not testable here"
    holds = [bar.clearance(value) >= 0 for value in case]
    if rule.kind == "deterministic":
        return "agrees" if all(holds) else "undecided" if any(holds) else "disagrees"
    if len(case) < 2:
        return "undecided"
    if _inside(rule, bar, case) < ALPHA and (rule.kind != "throughout" or all(holds)):
        return "agrees"
    return "disagrees" if _outside(rule, bar, case) < ALPHA else "undecided"


def _inside(rule: Rule, bar: Bar, case: list[float]) -> float:
    """p of the test that the mean is on the claimed side of the bar, or within ± its margin."""
    p = paired_t([bar.clearance(value) for value in case])[1]
    if rule.kind == "equivalence":
        p = max(p, paired_t([value + bar.figure for value in case])[1])
    return p


def _outside(rule: Rule, bar: Bar, case: list[float]) -> float:
    """p of the test that it is on the other side."""
    p = paired_t([-bar.clearance(value) for value in case])[1]
    if rule.kind == "equivalence":
        p = min(p, paired_t([-value - bar.figure for value in case])[1])
    return p
