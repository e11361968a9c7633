"""Tests that the paper's numbers are the paper's."""

import re
from pathlib import Path

import pytest

from xbmlib import paper
from xbmlib.paper import tables
from xbmlib.paper.arms import MEMORY, NO_MEMORY

TEXT = Path(__file__).resolve().parents[3] / "shared" / "paper" / "xbm.txt"
needs_text = pytest.mark.skipif(not TEXT.is_file(), reason="the paper's text is not available")
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def lines(before):
    """Rows of the tab-separated table that ends above a caption."""
    text = TEXT.read_text(encoding="utf-8")
    head = text[: text.index(before)].splitlines()[::-1]
    rows = []
    for line in head:
        if "\t" in line:
            rows.append([cell.strip() for cell in line.split("\t") if cell.strip()])
        elif rows and line.strip():
            break
    return rows[::-1]


def number(cell):
    """A cell's number, None for a dash."""
    return None if cell == "-" else float(cell)


@needs_text
@pytest.mark.parametrize("which", [3, 4, 5])
def test_tables_of_recall(which):
    """Oracle: the table in the text, split at its tabs."""
    found = [r for r in lines(f"Table {which}. Recall@K") if re.match(r"[A-Z]\S*.*(\[|w/ M)", r[0])]
    _, rows = paper.RECALL[which]
    assert len(found) == len(rows)
    for printed, row in zip(found, rows, strict=True):
        cells = printed[-len(row.recall) :]
        assert [number(cell) for cell in cells] == list(row.recall.values())
        reference = re.search(r"\[(\d+)\]", printed[0])
        assert row.reference == (int(reference[1]) if reference else None)
        assert printed[0].split(" [")[0] == row.method
        net = "".join(printed[1 : -len(cells)]).translate(SUPERSCRIPTS)
        letter, dim = re.fullmatch(r"([GBR])\W*(\d+)\W*", net).groups() if net else (None, None)
        assert row.backbone == tables.BACKBONES.get(letter)
        assert row.dim == (int(dim) if dim else None)


@needs_text
def test_table_of_losses():
    """Oracle: Table 1 in the text, split at its tabs."""
    names = {"Contrastive": "contrastive", "Triplet": "triplet", "MS": "multi_similarity"}
    found = {}
    for row in lines("Table 1. Retrieval results"):
        name, _, memory = row[0].partition(" ")
        if name in names:
            arm = {"": NO_MEMORY, "w/ M": MEMORY}[memory]
            found[names[name], arm] = [number(cell) for cell in row[1:]]
    assert len(found) == 6
    for (loss, memory), cells in found.items():
        ours = [v for name in tables.SETS for v in paper.LOSSES[name, loss, memory].values()]
        assert ours == cells


@needs_text
def test_table_of_cost():
    """Oracle: Table 2 in the text: every number of its rows."""
    found = [row for row in lines("Table 2. Training time") if row[0].startswith("Cont.")]
    assert len(found) == len(paper.COST)
    for printed, row in zip(found, paper.COST, strict=True):
        cells = [re.sub(r"[^\d.-]", "", c).rstrip(".") for c in printed[1:]]
        gain = None if row.gain is None else row.gain
        values = [row.hours, row.gigabytes, row.r1, gain]
        assert [number(cell) for cell in cells] == values
        ratio = re.search(r"(\d+)%", printed[0])
        assert row.ratio == (int(ratio[1]) / 100 if ratio else 0)
        batch = re.search(r"bs\. (\d+)", printed[0])
        assert row.batch == (int(batch[1]) if batch else 64)


def test_differences_that_the_text_prints_are_those_of_the_tables():
    """Oracle: subtraction. Where the paper contradicts itself, the contradiction is asserted."""
    large = {k: v["large R@1"] for k, v in paper.LOSSES.items() if k[0] == "VehicleID"}
    plain, memory, ms = (
        large["VehicleID", loss, m]
        for loss, m in (
            ("contrastive", NO_MEMORY),
            ("contrastive", MEMORY),
            ("multi_similarity", NO_MEMORY),
        )
    )
    assert ms - plain == pytest.approx(paper.MS_OVER_CONTRASTIVE.value)
    assert memory - ms == pytest.approx(paper.CONTRASTIVE_MEMORY_OVER_MS.value)
    first, *others = paper.COST
    for row in others:
        assert row.r1 - first.r1 == pytest.approx(row.gain)
    hours = {row.ratio: row.hours for row in paper.COST if row.batch == 64}
    # 52% by Table 2, 34% by the text.
    assert hours[1.0] / hours[0.0] - 1 == pytest.approx(0.52, abs=0.005)
    assert paper.EXTRA_TIME.value == 34
    # Table 1 and Table 2 differ on the same run by 0.1 and 0.4 points.
    sop = {m: paper.LOSSES["SOP", "contrastive", m]["R@1"] for m in (NO_MEMORY, MEMORY)}
    assert [sop[NO_MEMORY] - first.r1, sop[MEMORY] - others[-1].r1] == pytest.approx([0.1, 0.4])


def test_a_table_has_every_row_and_measure():
    """Oracle: the rows, counted on the printed page."""
    assert [len(paper.table(n)) for n in (3, 4, 5)] == [16, 11, 11]
    third = paper.table(3)
    assert list(third.columns[:3]) == ["method", "backbone", "D"]
    assert int(third.iloc[-1]["D"]) == 128
    assert third["R@10"].isna().sum() == 1
    assert paper.table(5)["backbone"].isna().sum() == 1
