"""Tests of the verdicts on Figure 3, on frames made by hand."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from tests.study.figures.frames import SEEDS
from xbmlib.plots.drift_curves import drift_and_lemma
from xbmlib.study.figures import drift_curves

DELTAS = (10, 100, 1000)


def drifts(early, later, decayed, steps=8000):
    """A frame of drift: one level per phase and Δt, one decay after 60% of the steps."""
    rows = []
    for delta, *levels in zip(DELTAS, early, later, decayed, strict=True):
        for step in range(max(delta, 500), steps, 500):
            decays, then = (int(t >= 0.6 * steps) for t in (step, step - delta))
            level = levels[2 if then else 0 if step <= 3000 else 1]
            rows += [
                {"data": "hanzi", "backbone": "compact", "step": step, "delta": delta,
                 "drift": level * (1 + s / 100), "decays": decays, "decays_then": then, "seed": s,
                 "steps": steps, "lr": 0.1}
                for s in SEEDS
            ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("early", "later", "decayed", "outcomes"),
    [
        ((0.05, 0.4, 1.2), (0.01, 0.1, 0.5), (1e-4, 1e-3, 5e-3), ["agrees"] * 4),
        # Ten times the rate, but a third of the drift; the drift grows; unrelated vectors have 2.
        ((0.2, 0.3, 1.0), (0.3, 0.4, 1.9), (0.1, 0.13, 0.6),
         ["disagrees", "disagrees", "disagrees", "partly"]),
    ],
)  # fmt: skip
def test_the_claims_on_drift(early, later, decayed, outcomes):
    """Oracle: by hand: D of each phase; the factor when the learning rate falls tenfold."""
    parameters = drift_curves.Parameters(profile="full")
    found = drift_curves._drift_verdicts(drifts(early, later, decayed), parameters)
    assert [v.outcome for v in found] == outcomes
    factor = later[0] / decayed[0]
    assert f"Δt = 10 {factor:.1f} ± 0.0 times (n=3)" in found[3].ours


def test_a_training_too_short_for_a_phase_leaves_its_claim_open():
    """Oracle: none of 3,000 steps comes after 3,000."""
    parameters = drift_curves.Parameters(profile="full")
    data = drifts((0.05, 0.4, 1.2), (0.01, 0.1, 0.5), (1e-4, 1e-3, 5e-3), steps=3000)
    found = drift_curves._drift_verdicts(data, parameters)
    assert [v.outcome for v in found] == ["agrees", *["not testable here"] * 3]


def test_each_network_has_a_panel_of_its_drift():
    """Oracle: the frame: every curve of both networks on one axis; the shade of a Δt is that of the
    first network, and a Δt that only the second has is told by its dashes.
    """
    rows = [
        {"backbone": net, "data": "hanzi", "step": step, "delta": delta, "drift": drift * delta,
         "C": 2.0, "C_head": 0.5, "decays": 0, "seed": 0}
        for net, deltas, drift in (("compact", (10, 100), 0.01), ("googlenet", (1, 10), 0.02))
        for delta in deltas
        for step in (5, 6)
    ]  # fmt: skip
    figure = drift_and_lemma(pd.DataFrame(rows))
    first, second, _ = figure.axes
    curves = [
        {str(line.get_label()): list(line.get_ydata()) for line in ax.lines}
        for ax in (first, second)
    ]
    assert curves[0] == {"Δt = 10": [0.1, 0.1], "Δt = 100": [1.0, 1.0]}
    assert curves[1] == {"Δt = 10": [0.2, 0.2], "Δt = 1": [0.02, 0.02]}
    looks = [
        {line.get_label(): (line.get_color(), line.get_linestyle()) for line in ax.lines}
        for ax in (first, second)
    ]
    assert looks[0]["Δt = 10"] == looks[1]["Δt = 10"] != looks[1]["Δt = 1"]
    assert len({*looks[0].values(), *looks[1].values()}) == 3
    assert first.get_ylim() == second.get_ylim()
    plt.close(figure)
