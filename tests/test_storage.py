"""Tests of where results lie, and of files that are written whole or not at all."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.training.test_store import names
from xbmlib import storage
from xbmlib.storage import write_atomically, write_csv, write_json
from xbmlib.training import store
from xbmlib.training.store import RunStore


def test_runs_lie_under_the_named_root(tmp_path, monkeypatch):
    """Oracle: $XBM_ROOT; without it the checkout, whatever the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XBM_ROOT", raising=False)
    assert storage._root() == Path(storage.__file__).resolve().parents[1]
    monkeypatch.setenv("XBM_ROOT", "there")
    assert storage._root() == tmp_path.resolve() / "there"
    monkeypatch.setattr(store, "ROOT", tmp_path)
    assert RunStore().path("a") == tmp_path / "results" / "runs" / "a"


def test_what_is_written(tmp_path):
    """Oracle: by hand; the folder is made, and an old file replaced."""
    path = tmp_path / "a" / "b.json"
    for value in ([0], {"b": 0.1, "a": "λ"}):
        write_json(path, value)
    assert path.read_text(encoding="utf-8") == '{\n "a": "λ",\n "b": 0.1\n}\n'
    write_csv(tmp_path / "a" / "c.csv", pd.DataFrame({"x": [1, 2], "y": [1 / 3, 1e9]}))
    assert (tmp_path / "a" / "c.csv").read_text() == "x,y\n1,0.333333\n2,1e+09\n"
    assert names(tmp_path) == ["b.json", "c.csv"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), SystemExit(1)])
@pytest.mark.parametrize("before", ["old", None])
def test_nothing_is_half_written(tmp_path, error, before):
    """Oracle: the old content, or no file, after a writer that fails half-way; and no litter."""
    path = tmp_path / "a.txt"
    if before:
        path.write_text(before)

    def fails(temporary):
        temporary.write_text("ne")
        assert path.exists() == bool(before)
        raise error

    with pytest.raises(type(error)):
        write_atomically(path, fails)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == (
        {"a.txt": before} if before else {}
    )
    # It can be written afterwards.
    write_atomically(path, lambda p: p.write_text("new"))
    assert path.read_text() == "new" and names(tmp_path) == ["a.txt"]


def test_what_cannot_be_written_leaves_the_old(tmp_path):
    """Oracle: the old content; JSON that fails half-way through its value."""
    write_json(tmp_path / "a.json", [1])
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", [2, object()])
    assert (tmp_path / "a.json").read_text() == "[\n 1\n]\n"


def test_what_a_killed_writer_left_is_removed_and_a_live_one_keeps_its_file(tmp_path):
    """Oracle: a process killed while it writes, and one that goes on writing."""
    code = """
import sys, time
from pathlib import Path
from xbmlib.storage import write_atomically
def write(path):
    path.write_text("half")
    print("writing", flush=True)
    sys.stdin.readline()
write_atomically(Path(sys.argv[1]), write)
"""
    path, other = tmp_path / "a[1].json", tmp_path / "b.json"
    writers = []
    for at in (path, path, other):
        command = [sys.executable, "-c", code, str(at)]
        writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert writer.stdout.readline() == "writing\n"
        writers.append(writer)
    dead, live, elsewhere = writers
    for writer in (dead, elsewhere):
        writer.kill()
        writer.wait()
    write_json(path, 1)
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {"a[1].json", f".a[1].json.{live.pid}.tmp", f".b.json.{elsewhere.pid}.tmp"}
    live.communicate("\n")
    assert live.returncode == 0 and path.read_text() == "half"
    write_json(other, 1)
    assert {p.name for p in tmp_path.iterdir()} == {"a[1].json", "b.json"}
