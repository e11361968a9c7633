"""Tests of the storm: each kind once, and that a fault is seen; the table of docs/faults.md."""

from pathlib import Path
from random import Random

import pandas as pd
import pytest

from tools.storm import mutations, places, table
from tools.storm.__main__ import main
from tools.storm.kinds import KINDS
from tools.storm.lists import LISTS
from tools.storm.processes import ended, members, start, wait
from tools.storm.trials import Trials, contents, difference
from xbmlib.datasets.published import DISK

ROOT = Path(__file__).resolve().parents[1]


# tests/study/test_sweep.py kills a sweep, tests/datasets/test_shared_memory.py has a /dev/shm of
# 64 MiB, and two of the odd places stand for the others: each is a program that imports torch.
ELSEWHERE = {"SIGKILL of a whole sweep", *places.PLACES} - {"no git", "read-only store"}


@pytest.mark.slow
def test_each_kind_a_little(tmp_path, capfd):
    """Oracle: a row of every kind that no other test has, in order, with every trial survived."""
    kinds = [kind for kind in KINDS if kind not in ELSEWHERE]
    out = tmp_path / "storm.csv"
    code = main(["--share", "0.002", "--kinds", ",".join(kinds), "--out", str(out)])
    said, rows = capfd.readouterr().out, pd.read_csv(out)
    assert code == 0, said
    assert rows["kind"].tolist() == kinds
    tested = ~rows["reach"].str.startswith("not testable here")
    assert (rows["tried"][tested] > 0).all()
    assert (rows["survived"] == rows["tried"]).all()
    assert set(rows["share"]) == {0.002} and set(rows["seed"]) == {0}


def test_a_row_takes_the_place_of_its_kind(tmp_path, capsys, monkeypatch):
    """Oracle: by hand; rows of another seed are dropped, a failure gives 1 and its line."""
    path = tmp_path / "storm.csv"

    def trials(place, chance, count):
        made = Trials("here", count, [] if count < 5 else ["lost"])
        assert place.is_dir() and not any(place.iterdir())
        return made

    kinds = {name: kind._replace(trials=trials) for name, kind in KINDS.items()}
    monkeypatch.setattr("tools.storm.__main__.KINDS", kinds)
    assert main(["--kinds", "soak", "--share", "0.0001", "--out", str(path)]) == 1
    assert "    lost" in capsys.readouterr().out
    for seed in ("1", "1", "2"):
        for words in ("one core", "no git"):
            assert main(["--kinds", words, "--seed", seed, "--out", str(path)]) == 0
    rows = pd.read_csv(path)
    assert rows["kind"].tolist() == ["no git", "one core"] and set(rows["seed"]) == {2}
    with pytest.raises(SystemExit, match="kinds='hail'"):
        main(["--kinds", "hail"])


def test_what_two_folders_differ_in(tmp_path):
    """Oracle: by hand: a file that is left, is missing, differs; the clock alone does not count."""
    for name, seconds in (("a", 1), ("b", 2)):
        (tmp_path / name / "run").mkdir(parents=True)
        (tmp_path / name / "run" / "x").write_text("1")
        (tmp_path / name / "run" / "provenance.json").write_text(f'{{"seconds": {seconds}}}')
    whole, folder = contents(tmp_path / "a"), tmp_path / "b"
    assert difference(folder, whole) == ""
    (folder / "run" / ".lock").touch()
    assert difference(folder, whole) == "run/.lock left"
    (folder / "run" / ".lock").unlink()
    (folder / "run" / "x").write_text("2")
    assert difference(folder, whole) == "run/x differs"
    (folder / "run" / "x").unlink()
    assert difference(folder, whole) == "run/x missing"


@pytest.mark.parametrize("name", LISTS)
def test_a_reader_that_is_wrong_is_seen(name, tmp_path, monkeypatch):
    """Oracle: a reader that swaps two labels, and one that ends in a raw error, in every trial."""
    count, read = 8, type(DISK[name]).listing
    monkeypatch.setattr(mutations, "mutated", lambda content, chance: content)
    assert mutations.lists(name, tmp_path / "sound", Random(0), count).survived == count

    def swapped(self, folder):
        found = read(self, folder)
        found.labels[[0, -1]] = found.labels[[-1, 0]]
        return found

    def raw(self, folder):
        raise KeyError("class")

    for wrong in (swapped, raw):
        monkeypatch.setattr(type(DISK[name]), "listing", wrong)
        found = mutations.lists(name, tmp_path / wrong.__name__, Random(0), count)
        assert found.survived == 0 and found.tried == count


def test_parameters_that_are_ignored_are_seen(monkeypatch, tmp_path):
    """Oracle: a notebook's parameters that take nothing, so that every set it is given is lost."""
    study = next(iter(mutations.STUDIES.values()))
    monkeypatch.setattr(mutations, "STUDIES", {"one": study})
    made = study.parameters()
    monkeypatch.setattr(study.parameters, "of", classmethod(lambda cls, values: made))
    found = mutations.parameters(tmp_path, Random(0), 60)
    assert 0 < found.survived < 60
    assert all(study.parameters.notebook in fault for fault in found.faults)


def test_a_process_that_outlives_its_session_is_seen(tmp_path):
    """Oracle: the system's own list, of a process that sleeps and one that has ended."""
    process = start(wait, tmp_path / "log", bool, 60.0)
    assert wait(lambda: process.pid in members(process.pid), 60)
    assert not ended(process.pid, 0.0)
    process.join()
    assert ended(process.pid, 5.0)


def test_a_place_that_changes_the_numbers_is_seen(tmp_path, monkeypatch):
    """Oracle: a command that trains nothing, where an ordinary one leaves a file."""
    monkeypatch.setattr(places, "_ordinary", lambda of_files: {"run/recall.json": b"1"})
    monkeypatch.setattr(places.Command, "run", lambda self: places.subprocess.run(
        ["sh", "-c", "echo odd >&2"], capture_output=True, text=True, check=False))  # fmt: skip
    assert places.odd("no git", tmp_path, Random(0), 1).survived == 0


def test_the_table_is_generated():
    """Oracle: results/storm.csv, rendered anew: one row for each kind of it."""
    text, rows = (ROOT / "docs" / "faults.md").read_text("utf-8"), pd.read_csv(table.CSV)
    assert table.rewritten(text, rows, list(KINDS)) == text
    assert len(rows) and set(rows["kind"]) <= set(KINDS) and set(rows["share"]) == {1.0}
    assert (rows["survived"] == rows["tried"]).all()
