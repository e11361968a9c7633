"""Tests of the paper's values beside ours: against plain code over the exported data."""

import csv
import math
from pathlib import Path
from statistics import mean, stdev

import pandas as pd
import pytest

from tests.paper.test_tables import TEXT, needs_text
from xbmlib.study.comparison import Quantity, cells, numbers, standing
from xbmlib.study.profiles import PROFILES

FOLDER = Path(__file__).resolve().parents[2] / "figures" / "full"
COMPARED = sorted(path.name.removesuffix("_paper.csv") for path in FOLDER.glob("*_paper.csv"))


def rows_of(name):
    """The rows of an exported CSV file, as dictionaries of text."""
    with (FOLDER / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def by_seed(name, value="R@1", **wanted):
    """Seed to a value, of the rows whose columns have these values as text."""
    found = [row for row in rows_of(name) if all(row[k] == v for k, v in wanted.items())]
    return {row["seed"]: float(row[value]) for row in found}


def minus(one, other):
    """Their differences, paired by seed."""
    return [one[seed] - other[seed] for seed in one.keys() & other.keys()]


def test_by_hand():
    """Oracle: arithmetic; a cell is empty where there is no value."""
    rows = [
        Quantity("a", "both", pd.Series([1.0, 2.0, 4.5]), 2.0),
        Quantity("a", "ours", pd.Series([1.0]), digits=2),
        Quantity("b", "paper's", pd.Series(dtype=float), 1000, "about"),
        Quantity("b", "not in every seed", pd.Series([1.0, math.nan]), 0.25, digits=2),
    ]
    assert cells(rows).to_numpy().tolist() == [
        ["2.0", "2.5 ± 1.8 (n=3)", "+0.5"],
        ["", "1.00 (n=1)", ""],
        ["about 1,000", "", ""],
        ["0.25", "", ""],
    ]
    first, ours, paper, missing = numbers(rows).itertuples()
    assert (first.paper, first.ours, first.n, first.difference) == (2.0, 2.5, 3, 0.5)
    assert first.spread == pytest.approx(stdev([1, 2, 4.5])) and math.isnan(ours.spread)
    assert math.isnan(ours.paper) and math.isnan(ours.difference) and ours.ours == 1
    assert paper.n == missing.n == 0 and math.isnan(missing.ours) and paper.paper == 1000


def test_no_quantity_leaves_the_columns():
    """Oracle: the columns of frames with a row."""
    for make in (cells, numbers):
        none, one = make([]), make([Quantity("a", "b", pd.Series([1.0]))])
        assert none.empty and list(none.columns) == list(one.columns)
        assert none.index.names == one.index.names


def test_what_stands_for_a_data_set():
    """Oracle: the bundled counterpart at full, the data set itself at the paper's scale."""
    assert standing(PROFILES["full"], "In-shop") == "emoji for In-shop"
    assert standing(PROFILES["paper"], "In-shop") == "In-shop"


MEMORY_RATIO = {"batch": "16", "data": "hanzi"}
CONTRASTIVE = {"part": "arms", "data": "hanzi", "loss": "contrastive", "sampler": "pk"}
TABLE_1 = {"data": "emoji", "loss": "triplet", "measure": "R@1"}
LONG = {"part": "length", "data": "emoji", "updates": "12000"}


# Of each: the file, the row, the paper's value as typed from its pages, and ours, recomputed.
CASES = [
    ("ablation_memory_ratio", "hanzi for SOP, batch 16", "gain with memory (R_M = 0.01), points",
     None, lambda: minus(by_seed("ablation_memory_ratio", ratio="0.01", **MEMORY_RATIO),
                         by_seed("ablation_memory_ratio", ratio="0", **MEMORY_RATIO))),
    ("ablation_memory_ratio", "emoji for In-shop, batch 16",
     "gain with memory (R_M = 0.01), points", 79.4 - 52.0,
     lambda: minus(by_seed("ablation_memory_ratio", ratio="0.01", batch="16", data="emoji"),
                   by_seed("ablation_memory_ratio", ratio="0", batch="16", data="emoji"))),
    ("ablation_memory_ratio", "hanzi for SOP, batch 64", "R@1 with no memory, %", 63.9,
     lambda: list(by_seed("ablation_memory_ratio", batch="64", data="hanzi").values())),
    ("ablation_batch_size", "hanzi for SOP, contrastive",
     "R@1 at batch 256 minus that at 16, no memory, points", 25.1,
     lambda: minus(by_seed("ablation_batch_size", ratio="0", batch="256", **CONTRASTIVE),
                   by_seed("ablation_batch_size", ratio="0", batch="16", **CONTRASTIVE))),
    ("losses_with_memory", "emoji for In-shop, triplet", "gain, points", 82.9 - 79.8,
     lambda: minus(
         by_seed("losses_with_memory", "value", arm="memory (R_M = 0.1)", **TABLE_1),
         by_seed("losses_with_memory", "value", arm="no memory", **TABLE_1))),
    ("recall_sop", "hanzi for SOP, compact, memory", "R@10, %", 89.8,
     lambda: list(by_seed("recall_sop", "value", source="ours", measure="R@10",
                          arm="memory (R_M = 1)").values())),
    ("training_length", "emoji for In-shop, contrastive, batch 64",
     "gain after 12,000 updates, points", 89.1 - 77.1,
     lambda: minus(by_seed("training_length", arm="memory (R_M = 1)", **LONG),
                   by_seed("training_length", arm="no memory", **LONG))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "of", "what", "paper", "ours"), CASES)
def test_exported_values(name, of, what, paper, ours):
    """Oracle: the paper's pages, and the exported runs by the csv and statistics modules."""
    (row,) = (r for r in rows_of(f"{name}_paper") if (r["of"], r["what"]) == (of, what))
    values = ours()
    assert row["n"] == str(len(values))
    printed = {"paper": paper, "ours": mean(values) if values else None}
    printed["spread"] = stdev(values) if len(values) > 1 else None
    both = values and paper is not None
    printed["difference"] = mean(values) - paper if both else None
    for column, value in printed.items():
        found = float(row[column]) if row[column] else None
        assert found == (None if value is None else pytest.approx(value, abs=2e-3)), column


@needs_text
@pytest.mark.parametrize("name", COMPARED)
def test_recall_of_the_paper_is_printed_in_it(name):
    """Oracle: the paper's text: every R@K beside ours stands there."""
    text = TEXT.read_text(encoding="utf-8")
    levels = [r["paper"] for r in rows_of(f"{name}_paper") if r["what"].startswith("R@")]
    for value in filter(None, levels):
        assert f"{float(value):.1f}" in text


def test_every_figure_has_its_comparison():
    """Oracle: the figures of the full study, each with the paper's values beside ours."""
    further = {
        "ablation_batch_size_losses_and_samplers",
        "ablation_memory_ratio_training",
        "losses_with_memory_training",
        "retrievals_emoji",
        "retrievals_hangul",
        "valid_negatives_pairs",
    }
    assert {path.stem for path in FOLDER.glob("*.png")} - further == set(COMPARED)
