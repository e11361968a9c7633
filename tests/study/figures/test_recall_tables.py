"""Tests of the recall tables and their verdicts, on frames made by hand."""

import pandas as pd
import pytest

from tests.study.figures.frames import SEEDS, table_1
from xbmlib import paper
from xbmlib.study.figures import recall_tables

KINDS = (
    recall_tables.SopParameters,
    recall_tables.InShopParameters,
    recall_tables.VehicleIdParameters,
)


@pytest.mark.parametrize("kind", KINDS)
def test_published_rows_then_ours(kind):
    """Oracle: the paper's cells at their places, a dash where it has one, and both arms of ours."""
    parameters = kind(profile="full")
    name, rows = paper.RECALL[parameters.number]
    data = table_1()
    data = data[(data["data"] == parameters.data) & (data["loss"] == "contrastive")]
    data = data.assign(net="compact")
    table = recall_tables.table(data, parameters)
    assert list(table["source"]) == ["paper"] * len(rows) + ["ours (rendered)"] * 2
    assert list(table["method"])[-2:] == [
        "Cont., no memory, compact",
        "Cont., memory (R_M = 0.1), compact",
    ]
    for row, (_, printed) in zip(rows, table.iterrows(), strict=False):
        for measure, value in row.recall.items():
            assert printed[measure] == ("–" if value is None else f"{value:.1f}")
    assert f"{data['value'].max() - 0.1:.1f} ± 0.1 (n=3)" == table["R@1"].iloc[-1]
    outcomes = [v.outcome for v in recall_tables.verdicts(data, parameters)]
    assert outcomes == ["agrees", "not testable here"]
    assert name in recall_tables.verdicts(data, parameters)[1].claim


@pytest.mark.parametrize("kind", KINDS)
def test_the_papers_own_rows_surpass_the_published(kind, tmp_path, monkeypatch):
    """Oracle: Section 4.4, on the paper's data; below the best of the others, it disagrees."""
    monkeypatch.setenv("XBM_DATA", "")  # restores what data_root sets, at the end of the test
    parameters = kind(profile="paper", data_root=str(tmp_path))
    name, rows = paper.RECALL[parameters.number]
    measure = [m for m in paper.SETS[name] if m.endswith("R@1")][-1]
    data = pd.DataFrame(
        [
            {"net": row.backbone, "data": parameters.data, "arm": arm, "seed": s,
             "measure": measure, "value": row.recall[measure] - less + 0.1 * s, "run": ""}
            for row in rows if row.reference is None
            for arm, less in (("memory (R_M = 1)", 0), ("no memory", 10))
            for s in SEEDS
        ]
    )  # fmt: skip
    found = recall_tables.verdicts(data, parameters)
    assert [v.outcome for v in found] == ["agrees", "agrees"]
    assert found[0].claim == f"R@1 with the contrastive loss rises with the memory on {name}."
    assert found[0].data == f"{name}, batch 64, profile paper"
    data["value"] -= 10
    assert recall_tables.verdicts(data, parameters)[1].outcome == "disagrees"
    assert not recall_tables.table(data, parameters)["source"].str.contains("rendered").any()
