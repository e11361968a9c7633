"""Tests of a finished run's digests: nothing that happens to its files goes unnoticed."""

import hashlib
import json
import random
import shutil

import pandas as pd
import pytest

from tests.training.test_store import ID, example
from xbmlib.storage import CHECKOUT, StorageError
from xbmlib.training.store import FILES, RunStore

TABLES = ("metrics", "drift", "neighbours", "mined")
WRITTEN = ["config.json", "drift.parquet", "metrics.parquet", "neighbours.parquet",
           "provenance.json", "recall.json"]  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A store with one finished run."""
    store = RunStore(tmp_path_factory.mktemp("saved"))
    store.save(example())
    return store


@pytest.fixture
def store(saved, tmp_path):
    """A copy of it, to be damaged."""
    shutil.copytree(saved.folder, tmp_path / "runs")
    return RunStore(tmp_path / "runs")


def equal(a, b):
    """Whether two runs hold the same, to the last bit."""
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(a, name), getattr(b, name), check_exact=True)
    plain = [
        json.dumps([run.recall, run.history, run.provenance], sort_keys=True) for run in (a, b)
    ]
    return (a.id, a.experiment) == (b.id, b.experiment) and plain[0] == plain[1]


def refused(store, name):
    """Whether loading is refused by one line with the file and the remedy; else the same run."""
    try:
        assert equal(store.load(ID), example())
    except StorageError as error:
        text = str(error)
        assert name in text and "remove the folder" in text and "\n" not in text
        return True
    return False


@pytest.mark.parametrize("name", WRITTEN)
def test_a_flipped_bit(store, name):
    """Oracle: the run that was saved. One flipped bit in every third byte is reported, or the run
    reads the same: white space in JSON.
    """
    path, chance = store.path(ID) / name, random.Random(0)
    whole, found = path.read_bytes(), []
    for place in range(chance.randrange(3), len(whole), 3):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        found.append(refused(store, name))
    # In the two files whose digest is of their content, other white space is no damage.
    assert all(found) or name in ("recall.json", "provenance.json")
    assert sum(found) > 0.95 * len(found)
    path.write_bytes(whole)
    assert not refused(store, name)


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize(
    "damage",
    ["empty", "cut", "longer", "zeros", "deep", "a list", "foreign"],
)
def test_a_damaged_file(store, tmp_path, name, damage):
    """Oracle: refused, whatever the file holds in place of what was written."""
    path = store.path(ID) / name
    whole = path.read_bytes()
    other = RunStore(tmp_path / "other")
    run = example()
    run.recall["R@1"], run.provenance["device"], run.metrics["loss"] = 0.9, "other", 7.0
    run.drift["drift"], run.neighbours["rank"] = 0.5, 9
    other.save(run)
    config = other.path(ID) / "config.json"
    config.write_text(config.read_text().replace('"seed": 0', '"seed": 5'))
    path.write_bytes(
        {
            "empty": b"",
            "cut": whole[: len(whole) // 2],
            "longer": whole + b"x",
            "zeros": bytes(len(whole)),
            "deep": b"[" * 100_000,
            "a list": b"[1]",
            "foreign": (other.path(ID) / name).read_bytes(),
        }[damage]
    )
    if (name, damage) == ("recall.json", "foreign"):
        # Whole in itself: the tables beside it show that it belongs to another run.
        with pytest.raises(StorageError, match="damaged"):
            store.load(ID)
    else:
        assert refused(store, name)
    if name in ("config.json", "recall.json") and damage != "foreign":
        with pytest.raises(StorageError, match=name):
            store.experiment(ID)
    assert store.done(ID)  # and so is not trained again


@pytest.mark.parametrize("name", [n for n in WRITTEN if n != "recall.json"])
def test_a_missing_file(store, name):
    """Oracle: refused; a table that was deleted does not load as an empty one."""
    (store.path(ID) / name).unlink()
    assert refused(store, name)


def test_left_over_tables_join_no_run(store):
    """Oracle: a run without tables of pairs and neighbours, saved where such files lie."""
    folder = store.path(ID)
    shutil.copy(folder / "drift.parquet", folder / "mined.parquet")
    assert equal(store.load(ID), example())
    store.save(example(extras=False))
    assert equal(store.load(ID), example(extras=False))
    assert not list(folder.glob("[!m]*.parquet")) and not (folder / "mined.parquet").exists()


def test_the_same_run_has_the_same_bytes(store, tmp_path):
    """Oracle: bytes; another clock and machine change provenance.json alone."""
    run, again = example(), RunStore(tmp_path / "again")
    run.provenance["device"] = "another"
    again.save(run)
    for name in WRITTEN:
        same = (store.path(ID) / name).read_bytes() == (again.path(ID) / name).read_bytes()
        assert same == (name != "provenance.json")


def test_what_a_killed_process_leaves_is_removed(store):
    """Oracle: the names of the finished run's files. A run in training keeps its checkpoint."""
    for id in (ID, "in training"):
        store.path(id).mkdir(exist_ok=True)
        for name in ("checkpoint.pt", "checkpoint.pt.damaged", ".lock", ".recall.json.7.tmp"):
            (store.path(id) / name).write_bytes(b"left")
    store.load(ID)
    store.tidy("in training")
    assert sorted(p.name for p in store.path(ID).iterdir()) == WRITTEN
    assert len(list(store.path("in training").iterdir())) == 4


@pytest.mark.parametrize("name", FILES)
def test_a_folder_where_a_file_belongs(tmp_path, name):
    """Oracle: one line with its path, before any work; nothing is removed."""
    junk = tmp_path / ID / name
    junk.mkdir(parents=True)
    with (
        pytest.raises(StorageError, match=rf"{name}: not a file; remove it$"),
        RunStore(tmp_path).locked(ID),
    ):
        raise AssertionError("work")
    assert junk.is_dir() and RunStore(tmp_path).ids() == []


def test_every_stored_run_is_whole():
    """Oracle: hashlib over the files of results/runs, none of which is missing or additional."""
    store = RunStore(CHECKOUT / "results" / "runs")
    for id in store.ids():
        folder = store.path(id)
        files = json.loads((folder / "recall.json").read_text())["files"]
        assert {p.name for p in folder.iterdir()} == {*files, "provenance.json", "recall.json"}
        for name, digest in files.items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
        store.load(id)
