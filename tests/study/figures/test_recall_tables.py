"""Tests of the recall tables and their verdicts, on frames made by hand."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

from tests.study.figures.frames import SEEDS, table_1
from xbmlib import paper
from xbmlib.plots import recall_tables as plot
from xbmlib.plots import style
from xbmlib.study.execution import SOURCES
from xbmlib.study.figures import recall_tables

KINDS = (
    recall_tables.SopParameters,
    recall_tables.InShopParameters,
    recall_tables.VehicleIdParameters,
)


def after_the_opening(kind):
    """The cells of a table's notebook, but for what only SOP's shows: the paper's settings."""
    text = (SOURCES / f"{kind.notebook}.ipynb").read_text(encoding="utf-8")
    cells = ["".join(cell["source"]) for cell in json.loads(text)["cells"][1:]]
    assert sum(kind.__name__ in cell for cell in cells) == 1
    cells = [cell.replace(kind.__name__, "").replace("import paper, ", "import ") for cell in cells]
    settings = ("## Settings at the paper's scale", "notebook.tabulate(paper.differences()")
    return [cell for cell in cells if not cell.startswith(settings)]


def test_the_notebooks_differ_in_their_opening_and_the_table_alone():
    """Oracle: the cells of the other two, each beside the first's."""
    sop, inshop, vehicleid = map(after_the_opening, KINDS)
    assert sop == inshop == vehicleid


@pytest.mark.parametrize("kind", KINDS)
def test_published_rows_then_ours(kind):
    """Oracle: the paper's cells at their places, a dash where it has one, and both arms of ours."""
    parameters = kind(profile="full")
    name, rows = paper.RECALL[parameters.number]
    data = table_1()
    data = data[(data["data"] == parameters.data) & (data["loss"] == "contrastive")]
    data = data.assign(net="compact", evaluations=1, best=data["value"])
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
    *literature, gain = recall_tables.verdicts(data, parameters)
    assert gain.outcome == "agrees" and name in gain.claim and not gain.name
    # Once, beside the last of the three tables; the published data sets are not here.
    assert [v.name for v in literature] == ["surpasses_literature"] * (name == "VehicleID")
    assert all(v.outcome == "not testable here" for v in literature)


# Typed from Table 1, with no memory and with memory, and from Tables 3 to 5, the best of others.
PRINTED = {3: (64.0, 77.8, 78.6), 4: (77.1, 89.1, 90.9), 5: (70.0, 92.5, 87.5)}


@pytest.mark.parametrize("kind", KINDS)
def test_like_with_like_in_one_panel(kind):
    """Oracle: the paper's pages; the frame holds its numbers, 0.1 and 0.11 above."""
    parameters = kind(profile="full")
    data = table_1()
    data = data[(data["data"] == parameters.data) & (data["loss"] == "contrastive")]
    tidy = recall_tables.tidy(data.assign(net="compact"), parameters)
    with style():
        ax = plot.recall_table(tidy)
    none, memory, best = PRINTED[parameters.number]
    shown = {line.get_label(): line.get_xdata()[0] for line in ax.lines}
    drawn = {c.get_label(): c.lines[0].get_xdata()[0] for c in ax.containers} | shown
    assert (drawn["paper, no memory"], drawn["paper, memory"]) == (none, memory)
    assert drawn["best earlier method"] == best
    assert drawn["ours, no memory"] == pytest.approx(none + 0.1)
    assert drawn["ours, memory ($R_M$ = 10%)"] == pytest.approx(memory + 0.11)
    gain = f"{memory - none:+.1f}"
    assert [text.get_text() for text in ax.texts] == [gain, gain]
    # No mark hides another, however small the gain: both arms of a row have places of their own.
    heights = [round(float(c.lines[0].get_ydata()[0]), 9) for c in ax.containers]
    assert len(set(heights)) == len(heights) == 4
    # Everything drawn is in the exported frame.
    assert {none, memory, best} <= set(tidy["value"].round(1))


def rows_of_the_paper(parameters, less=0.0):
    """A frame of a recall table on the paper's data that holds its own rows."""
    name, rows = paper.RECALL[parameters.number]
    measure = paper.first_measure(name)
    return pd.DataFrame(
        [
            {"net": f"{recall_tables.NETS[row.backbone]}-{row.dim}", "data": parameters.data,
             "arm": arm, "seed": s, "measure": measure,
             "value": row.recall[measure] - below - less + 0.1 * s,
             "best": row.recall[measure], "evaluations": 35, "run": ""}
            for row in rows if row.reference is None
            for arm, below in (("memory (R_M = 1)", 0), ("no memory", 10))
            for s in SEEDS
        ]
    )  # fmt: skip


def test_the_papers_own_rows_surpass_the_published(tmp_path, monkeypatch):
    """Oracle: Section 4.4, on the paper's data; below the best of the others, it disagrees."""
    monkeypatch.setenv("XBM_DATA", "")  # restores what data_root sets, at the end of the test
    given = {"profile": "paper", "data_root": str(tmp_path)}
    less = [0.0]
    monkeypatch.setattr(recall_tables, "frame", lambda p: rows_of_the_paper(p, less[0]))
    last = recall_tables.VehicleIdParameters(**given)
    claim, gain = recall_tables.verdicts(rows_of_the_paper(last), last)
    assert (claim.name, claim.outcome) == ("surpasses_literature", "agrees")
    assert gain.outcome == "agrees" and gain.data == "VehicleID, batch 64, profile paper"
    assert gain.claim == "R@1 with the contrastive loss rises with the memory; here on VehicleID."
    less[0] = 10.0
    assert recall_tables.verdicts(rows_of_the_paper(last), last)[0].outcome == "disagrees"
    table = recall_tables.table(rows_of_the_paper(last), last)
    assert not table["source"].str.contains("rendered").any()
    # The released code's report, the best evaluation, has a row beside each of the last.
    assert set(table["data"]) == {"VehicleID"}
    ours = table[table["source"] == "ours"].set_index("method")["large R@1"]
    assert len(ours) == 12 and sum(name.endswith(", best of 35") for name in ours.index) == 6
    assert ours["Cont., memory (R_M = 1), resnet50-128"] == "93.1 ± 0.1 (n=3)"
    assert ours["Cont., memory (R_M = 1), resnet50-128, best of 35"] == "93.0 ± 0.0 (n=3)"


def test_the_best_evaluation_is_by_the_first_measure():
    """Oracle: by hand; of two alike the earlier."""
    rows = ((1, 0.9, 0.4), (2, 0.5, 0.7), (3, 0.6, 0.7), (4, 0.8, 0.6))
    history = [{"step": n, "small R@1": a, "large R@1": b, "MAP@R": n / 10} for n, a, b in rows]
    recall = {name: value for name, value in history[-1].items() if name != "step"}
    run = SimpleNamespace(history=history, recall=recall)
    assert recall_tables.best_evaluation(run)["step"] == 2
