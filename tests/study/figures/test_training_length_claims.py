"""Tests of the verdicts on what the number of updates explains, on frames made by hand."""

import pandas as pd
import pytest

from tests.study.figures.frames import SEEDS
from xbmlib.study.figures import training_length, training_length_claims
from xbmlib.study.profiles import LOSSES


def trained(part, gains, sampler="pk"):
    """A part of the study's frame: gains over an R@1 of 50, by (loss, batch, updates)."""
    rows = [
        {"part": part, "data": "emoji", "loss": loss, "batch": batch, "updates": n,
         "sampler": sampler, "arm": arm, "seed": s, "R@1": 50 + added + 0.1 * s, "run": ""}
        for (loss, batch, n), gain in gains.items()
        for arm, added in (("no memory", 0), ("memory (R_M = 0.1)", gain)) for s in SEEDS
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("gains", "outcomes"),
    [
        ({500: -4, 1000: -1, 2000: 2}, ["agrees", "disagrees"]),
        ({500: 1, 1000: 3, 2000: 0}, ["disagrees", "disagrees"]),
        ({500: 1, 1000: 3, 2000: 3.9}, ["agrees", "agrees"]),
        ({500: -4}, ["not testable here"] * 2),
    ],
)
def test_the_gain_against_the_number_of_updates(gains, outcomes):
    """Oracle: by hand: the last gain against the first, and within a point of the one before."""
    data = trained("length", {("contrastive", 64, n): gain for n, gain in gains.items()})
    found = training_length_claims.verdicts(data, training_length.Parameters(profile="full"))
    assert [v.outcome for v in found] == outcomes and "500 updates" in found[0].ours
    assert all("batch 64, R_M = 0.1, profile full" in v.data for v in found)


@pytest.mark.parametrize(
    ("small", "last", "shuffled", "outcomes"),
    [
        (3, 4, {1000: -7, 4000: -0.5}, "++++"),
        (-4, 4, {1000: -7, 4000: -5}, "-+-+"),
        (3, -1, {1000: -7, 4000: -8}, "+---"),
    ],
)
def test_the_gain_at_other_batch_sizes(small, last, shuffled, outcomes):
    """Oracle: by hand. The gain has to be larger at batch 16 with every loss, and above 0 at batch
    64 with every loss that trains as long there. Shuffled batches have to come within a point of PK
    batches, and closer than after fewer updates.
    """
    gains = {(loss, 16, 4000): g for loss, g in zip(LOSSES, (9, 1, small), strict=True)}
    gains |= {(loss, 64, 1000): -3 for loss in LOSSES}
    gains |= {("contrastive", 64, 4000): 3, ("multi_similarity", 64, 4000): last}
    batches = trained("batch", gains)
    longer = trained("length", {("contrastive", 64, n): n / 100 for n in (500, 1000)})
    # PK batches with memory at batch 64: 50 - 3 after 1,000 updates, 50 + 3 after 4,000.
    behind = {1000: -3 + shuffled[1000], 4000: 3 + shuffled[4000]}
    behind = {("contrastive", 64, n): more for n, more in behind.items()}
    others = trained("shuffled", behind, sampler="shuffle").query("arm != 'no memory'")
    data = pd.concat([longer, batches, others])
    found = training_length_claims.verdicts(data, training_length.Parameters(profile="full"))[2:]
    assert [v.outcome for v in found] == [
        {"+": "agrees", "-": "disagrees"}[sign] for sign in outcomes
    ]
    starts = [
        "contrastive 9.0 ± 0.0",
        f"contrastive 3.0 ± 0.0 (n=3) points; multi-similarity {last:.1f} ± 0.0",
        f"R@1 with PK batches minus that with shuffled batches: {-shuffled[1000]:.1f} ± 0.0 (n=3) "
        "points at batch 64 after 1,000 updates of each",
    ]
    for verdict, start in zip(found, starts, strict=False):
        assert verdict.ours.startswith(start)
    table = training_length.gains(data, "batch")
    assert table["gain"].tolist()[:2] == ["9.0 ± 0.0 (n=3)", "1.0 ± 0.0 (n=3)"]
    assert table["updates"].tolist() == [4000] * 3 + [1000] * 3 + [4000] * 2
