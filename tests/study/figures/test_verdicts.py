"""Tests of what the studies make of their runs, on frames made up by hand."""

import pandas as pd
import pytest

from xbmlib import paper
from xbmlib.study.figures import (
    ablation_batch_size,
    ablation_memory_ratio,
    losses_with_memory,
    recall_tables,
    retrievals,
)
from xbmlib.study.notebook import clear
from xbmlib.study.profiles import DATA, PROFILES, experiment

SEEDS = range(3)


@pytest.mark.parametrize(
    ("gains", "outcome"),
    [
        (([1.0, 2.0, 3.0],), "agrees"),  # 2 > 2 · 1/√3
        (([0.0, 2.0, 1.0],), "disagrees"),  # 1 < 2 · 1/√3
        (([-3.0, -2.0, -1.0],), "disagrees"),
        (([1.0, 2.0, 3.0], [0.0, 2.0, 1.0]), "disagrees"),
        (([5.0],), "not testable here"),
    ],
)
def test_clear_of_zero(gains, outcome):
    """Oracle: twice the standard error, by hand."""
    assert clear(*(pd.Series(g) for g in gains)) == outcome


def curves(with_memory, without, shuffled):
    """A frame of the batch-size study: R@1 of the contrastive loss on hanzi at each batch."""
    parameters = ablation_batch_size.Parameters(profile="full")
    rows = []
    for case in ablation_batch_size.cases(parameters.size):
        i = parameters.size.batches.index(case["batch"])
        values = with_memory if case["ratio"] else without
        value = values[i] - (shuffled if case["sampler"] == "shuffle" else 0)
        rows += [case | {"seed": s, "R@1": value + 0.1 * s, "run": ""} for s in SEEDS]
    return parameters, pd.DataFrame(rows)


def test_the_papers_own_curves_agree():
    """Oracle: Section 4.3: 25.1 points without memory, 3.2 with, random as good as PK."""
    parameters, data = curves([78.2, 79, 80, 81, 81.4], [46.6, 55, 63.9, 68, 71.7], 0.2)
    assert [v.outcome for v in ablation_batch_size.verdicts(data, parameters)] == ["agrees"] * 5


def test_curves_that_say_the_opposite_disagree():
    """Oracle: the same numbers with the roles of memory and none exchanged."""
    parameters, data = curves([71.7, 68, 63.9, 55, 46.6], [81.4, 81, 80, 79, 78.2], 9.0)
    assert [v.outcome for v in ablation_batch_size.verdicts(data, parameters)] == ["disagrees"] * 5


def test_every_point_of_a_curve_sees_as_many_images():
    """Oracle: steps × batch; and each curve has every batch size."""
    profile = PROFILES["full"]
    for case in ablation_batch_size.cases(profile):
        e = ablation_batch_size._experiment(profile, case, 0)
        assert e.steps * e.batch == profile.images
        assert (e.data, e.loss, e.sampler) == (case["data"], case["loss"], case["sampler"])
    sizes = pd.DataFrame(ablation_batch_size.cases(profile)).groupby(
        ["data", "loss", "ratio", "sampler"]
    )
    assert set(sizes["batch"].apply(tuple)) == {profile.batches}


@pytest.mark.parametrize(("batch", "searched"), [(16, 16), (30, 16), (32, 64), (256, 64)])
def test_settings_of_the_nearest_batch_searched(batch, searched):
    """Oracle: the logarithm's middle of 16 and 64 is 32, which goes to the larger."""
    one, other = (experiment(PROFILES["quick"], b, seed=0, ratio=0.0) for b in (batch, searched))
    assert (one.lr, one.lam, one.k, one.dim) == (other.lr, other.lam, other.k, other.dim)


def table_1(gain=0.0):
    """A frame of the losses' study that holds the paper's own R@1."""
    beside = dict(zip(DATA, paper.SETS, strict=True))
    rows = []
    for data, name in beside.items():
        measure = "R@1" if name != "VehicleID" else "large R@1"
        for loss in losses_with_memory.LOSSES:
            for memory in ("none", "w/ M"):
                value = paper.LOSSES[name, loss, memory][measure]
                value += gain if memory == "w/ M" and loss == "contrastive" else 0
                rows += [
                    {"data": data, "loss": loss, "memory": memory, "seed": s, "measure": "R@1",
                     "value": value + 0.1 * s, "run": ""}
                    for s in SEEDS
                ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_papers_own_table_1_agrees():
    """Oracle: Section 4.3: every loss gains, contrastive with memory is ahead of MS throughout."""
    parameters = losses_with_memory.Parameters(profile="full")
    found = losses_with_memory.verdicts(table_1(), parameters)
    assert [v.outcome for v in found] == ["agrees"] * 5
    assert found[0].paper == "SOP +13.8, In-shop +12.0, VehicleID +22.5 points (Table 1)"
    worse = [v.outcome for v in losses_with_memory.verdicts(table_1(-30.0), parameters)]
    assert worse == ["disagrees", "agrees", "agrees", "disagrees", "disagrees"]


def test_a_brief_profile_has_every_loss_on_the_first_data_set_alone():
    """Oracle: by hand: 2 runs of each loss there, and the contrastive loss's elsewhere."""
    parameters = losses_with_memory.Parameters(profile="quick")
    runs = {(e.data, e.loss, e.ratio > 0) for e in losses_with_memory.experiments(parameters)}
    assert len(runs) == 6 + 2 + 2
    assert {data for data, loss, _ in runs if loss == "contrastive"} == set(DATA)
    data = table_1()
    data = data[(data["data"] == DATA[0]) | (data["loss"] == "contrastive")]
    found = losses_with_memory.verdicts(data, parameters)
    assert [v.data.split(" (")[0] for v in found] == ["hanzi, emoji, hangul", *["hanzi"] * 4]
    assert [v.outcome for v in found] == ["agrees"] * 5
    first = {e.data for e in retrievals.experiments(retrievals.Parameters())}
    assert first == {DATA[0]}


def test_the_memory_ratio_has_seeds_of_its_own():
    """Oracle: 5 at profile full, as many as are asked for otherwise."""
    for given, n in (({"profile": "full"}, 5), ({"profile": "full", "seeds": 2}, 2), ({}, 1)):
        found = ablation_memory_ratio.experiments(ablation_memory_ratio.Parameters(**given))
        assert {e.seed for e in found} == set(range(n))


@pytest.mark.parametrize(
    "kind",
    [
        recall_tables.SopParameters,
        recall_tables.InShopParameters,
        recall_tables.VehicleIdParameters,
    ],
)
def test_published_rows_then_ours(kind):
    """Oracle: the paper's cells at their places, a dash where it has one, and both arms of ours."""
    parameters = kind(profile="full")
    name, rows = paper.RECALL[parameters.number]
    data = table_1()
    data = data[(data["data"] == parameters.data) & (data["loss"] == "contrastive")]
    data = data.assign(net="compact")
    table = recall_tables.table(data, parameters)
    assert list(table["source"]) == ["paper"] * len(rows) + ["ours (drawn)"] * 2
    for row, (_, printed) in zip(rows, table.iterrows(), strict=False):
        for measure, value in row.recall.items():
            assert printed[measure] == ("–" if value is None else f"{value:.1f}")
    assert f"{data['value'].max() - 0.1:.1f} ± 0.1 (n=3)" == table["R@1"].iloc[-1]
    outcomes = [v.outcome for v in recall_tables.verdicts(data, parameters)]
    assert outcomes == ["agrees", "not testable here"]
    assert name in recall_tables.verdicts(data, parameters)[1].claim


@pytest.mark.parametrize(
    "kind",
    [
        recall_tables.SopParameters,
        recall_tables.InShopParameters,
        recall_tables.VehicleIdParameters,
    ],
)
def test_the_papers_own_rows_surpass_the_published(kind, tmp_path, monkeypatch):
    """Oracle: Section 4.4, on the paper's data; with less than the best of the others, not."""
    monkeypatch.setenv("XBM_DATA", "")  # what is given as data_root ends with the test
    parameters = kind(profile="paper", data_root=str(tmp_path))
    name, rows = paper.RECALL[parameters.number]
    measure = [m for m in paper.SETS[name] if m.endswith("R@1")][-1]
    data = pd.DataFrame(
        [
            {"net": row.backbone, "data": parameters.data, "memory": memory, "seed": s,
             "measure": measure, "value": row.recall[measure] - less + 0.1 * s, "run": ""}
            for row in rows if row.reference is None
            for memory, less in (("w/ M", 0), ("none", 10))
            for s in SEEDS
        ]
    )  # fmt: skip
    found = recall_tables.verdicts(data, parameters)
    assert [v.outcome for v in found] == ["agrees", "agrees"]
    assert found[0].claim == f"The memory lifts the contrastive loss on {name}."
    assert found[0].data == f"{name}, batch 64, profile paper"
    data["value"] -= 10
    assert recall_tables.verdicts(data, parameters)[1].outcome == "disagrees"
    assert not recall_tables.table(data, parameters)["source"].str.contains("rendered").any()
