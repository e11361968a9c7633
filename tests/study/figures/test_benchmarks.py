"""Tests of the benchmark table and of the notebook that shows it; nothing is timed here."""

import json

import pandas as pd
import pytest

from benchmarks import gpu_losses
from benchmarks.measure import against, closing, extra_mib, faster, medians, row
from tests.kernels import ROOT, papermill
from xbmlib.study import notebook
from xbmlib.study.figures import benchmarks as figure

TABLES = (
    "benchmarks", "benchmarks_growth", "benchmarks_parts", "cost", "cost_gpu", "input",
    "losses_gpu", "scaling", "scaling_gpu", "waiting",
)  # fmt: skip


def test_bars():
    """Oracle: by hand."""
    assert row("a", "b", 3.0, 2.0, sense="<=", bar=1.5)["holds"] is True
    assert row("a", "b", 3.0, 2.0, sense="<=", bar=1.4)["holds"] is False
    assert row("a", "b", 3.0, 2.0, sense=">=", bar=1.6)["holds"] is False
    assert row("a", "b", 3.0, 2.0)["holds"] is None
    assert faster("a", "b", 2.0, 9.0, 4.5)["ratio"] == 4.5
    assert faster("a", "b", 2.0, 9.0, 4.6)["holds"] is False


def test_calls_take_turns_and_the_first_is_not_counted():
    """Oracle: the order of the calls."""
    order = []
    found = medians(3, a=lambda: order.append("a"), b=lambda: order.append("b"))
    assert order == ["a", "b"] * 4 and set(found) == {"a", "b"}


def test_calls_are_timed_by_the_given_clock():
    """Oracle: a clock by hand: 1, 2 and 30 seconds after the warm-up call."""
    ticks = iter([0, 10, 11, 20, 22, 30, 60])
    assert medians(3, lambda: next(ticks), a=lambda: None) == {"a": 2000}


def test_times_against_another_of_the_same_round():
    """Oracle: by hand: a load that triples both times of one round changes nothing."""
    times = {"base": [2.0, 6.0, 2.0], "twice": [4.0, 12.0, 5.0], "half": [1.0, 3.0, 0.5]}
    assert against("base", times) == {"base": 2.0, "twice": 4.0, "half": 1.0}


def test_extra_memory_is_the_peak_of_a_call():
    """Oracle: the size of a block that is written to and freed."""
    assert 60 < extra_mib(lambda: bytearray(b"x") * (64 << 20)) < 90
    assert extra_mib(lambda: None) < 5


def test_the_stored_table_says_what_holds():
    """Oracle: the bars, applied anew to the ratios."""
    table = pd.read_csv(ROOT / "results" / "benchmarks.csv")
    assert {"what", "ours", "reference", "ratio", "bar", "machine"} <= set(table)
    barred = table.dropna(subset="bar")
    assert len(barred) > 20
    below = barred["sense"] == "<="
    holds = (barred["ratio"] <= barred["bar"]).where(below, barred["ratio"] >= barred["bar"])
    assert (holds == barred["holds"].astype(str).eq("True")).all()


def test_only_a_step_with_the_memory_is_judged():
    """Oracle: the stored table, and the same with a row of another way to make a step."""
    table = figure.table()
    first = table[table["what"] == "training step, batch 64, 100% memory"]
    other = first.assign(what="training step, batch 64, no memory, torch.compile(net)", ratio=9.0)
    more = pd.concat([table, other], ignore_index=True)
    assert figure.verdicts(more) == figure.verdicts(table)
    first, second = (figure.closing(t).partition(" Of ")[0] for t in (more, table))
    assert first == second
    assert len(figure.comparison(more)) == len(figure.comparison(table)) == 2


@pytest.fixture
def mocked_losses_gpu(tmp_path, monkeypatch):
    """A results/losses_gpu.csv as `python -m benchmarks.gpu` writes it, of invented times."""
    read = {"rate": 2e12, "size": 100_000_000}  # 50 µs
    timed = gpu_losses.Timed("contrastive, fp32, one_pass", lambda: None, 4, aim=3.0)
    rows = [
        gpu_losses.judged(timed, 200.0, **read),
        gpu_losses.judged(timed._replace(what="bare product, fp32", aim=None), 175.0, **read),
        row("extra memory: contrastive, one_pass", "1 MiB", 4.5, 1.0, sense="<=", bar=16,
            unit="MiB"),
    ]  # fmt: skip
    named = {"m": 64, "M": 59_551, "D": 512, "machine": "mocked: no GPU has measured this"}
    (tmp_path / "results").mkdir()
    path = tmp_path / "results" / "losses_gpu.csv"
    pd.DataFrame(rows).assign(**named).to_csv(path, index=False)
    monkeypatch.setattr("xbmlib.study.measured.ROOT", tmp_path)


@pytest.mark.usefixtures("mocked_losses_gpu")
def test_a_gpus_times_against_one_read_of_the_entries():
    """Oracle: the mocked table's rows, by hand; the caption names what they are compared with."""
    data = figure.on_gpu()
    columns = ["ours", "reference", "unit", "ratio", "bar", "MB", "share"]
    judged, plain, memory = data[columns].itertuples(index=False, name=None)
    assert judged == (200, 50, "µs", 4, 3, 100, 0.25)
    assert plain[:4] == (175, 50, "µs", 3.5) and pd.isna(plain[4])
    assert memory[:5] == (4.5, 1, "MiB", 4.5, 16) and all(map(pd.isna, memory[5:]))
    assert [str(held) for held in data["holds"]] == ["False", "nan", "True"]
    aims = figure.aimed(data)["aim"].tolist()
    assert aims == ["≤ 3", "", "≤ 16"]
    caption = figure.about_gpu(data)
    assert "one read of the entries" in caption and "times faster" not in caption
    html = notebook.tabulate(data, figure.Parameters(), precision=2, caption=caption).to_html()
    assert caption in html and "0.25" in html and "nan" not in html.lower()


def test_a_gpus_times_of_an_earlier_table():
    """Oracle: by hand: 512 · 59,551 numbers are read at the bandwidth beside; peers stay."""
    old = figure.on_gpu()
    assert "times faster" in figure.about_gpu(old) and "before there was" in figure.about_gpu(old)
    bandwidth = pd.read_csv(ROOT / "results" / "scaling_gpu.csv")["bandwidth"][0]
    stored = pd.read_csv(ROOT / "results" / "losses_gpu.csv").set_index(["what", "against"])
    ms = stored.loc[("contrastive, bf16 memory", "bare product, fp32"), "ours"]
    read = 1e3 * 59_551 * 512 * 2 / bandwidth
    (row,) = old[old["what"] == "contrastive, bf16 memory"].iloc[:1].itertuples()
    assert row.against == "one read of the entries"
    assert (row.reference, row.ratio, row.share) == pytest.approx((read, ms / read, read / ms))
    peers = figure.peers(old)
    assert len(peers) and peers["MB"].isna().all() and (peers["ratio"] > 2).all()


def test_what_is_missed_is_named_with_its_reason(tmp_path):
    """Oracle: by hand; of a table without reasons, and of one without aims, too."""
    rows = [
        row("a step", "none", 12.0, 10.0, sense="<=", bar=1.1, reason="its product alone is 2 ms"),
        row("a step", "twice", 12.0, 20.0, sense="<=", bar=1.1, reason="never shown"),
        row("a step", "thrice", 12.0, 30.0),
        faster("a step", "a peer", 12.0, 10.0, 1.3),
    ]
    table = pd.DataFrame(rows)
    first, second = figure.missed(table, table[:0])
    assert first == "a step, against none: 1.2 (aim ≤ 1.1); its product alone is 2 ms"
    assert second == "a step, against a peer: 0.833 (aim ≥ 1.3); not explained"
    assert "never shown" not in str(rows)
    table[1:2].to_csv(tmp_path / "none.csv", index=False)
    assert figure.missed(pd.read_csv(tmp_path / "none.csv")) == []
    (older,) = figure.missed(table.drop(columns="reason")[:1])
    assert older == "a step, against none: 1.2 (aim ≤ 1.1)"
    printed = closing(rows)
    assert "2 fall short" in printed and "FALLS SHORT: its product alone is 2 ms" in printed
    assert closing(rows[1:3]) == "\nevery bar holds"


def test_the_notebook_shows_the_stored_tables(tmp_path):
    """Oracle: the files that the README promises."""
    done = papermill(ROOT / "notebooks" / "benchmarks.ipynb", tmp_path / "o.ipynb", tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "figures" / "benchmarks" / "benchmarks.svg").stat().st_size > 100
    (verdict,) = json.loads(
        (tmp_path / "results" / "verdicts" / "benchmarks" / "benchmarks.json").read_text()
    )
    assert verdict["outcome"] in ("agrees", "disagrees")


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_of_one_machine_and_finite(name):
    """Oracle: no empty cell of numbers, but where there is no bar, or nothing to read."""
    table = pd.read_csv(ROOT / "results" / f"{name}.csv")
    may_be_empty = ["bar", "bytes", "share"]
    numbers = table.select_dtypes("number").drop(columns=may_be_empty, errors="ignore")
    assert not numbers.isna().any().any()
