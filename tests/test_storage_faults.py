"""Tests of disks that are full or read-only, and of what a power failure leaves."""

import errno
import json
import os
import subprocess
import sys

import pytest

from xbmlib.storage import StorageError, require_writable, write_atomically, write_json

SCRIPT = """
import json, subprocess, sys
from pathlib import Path
import torch
from tests.training.test_store import ID, example
from xbmlib.storage import require_writable, write_atomically, write_json
from xbmlib.training.checkpoint import write_state
from xbmlib.training.store import RunStore

disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", disk], check=True)
store, found = RunStore(disk), {}
store.save(example())

def attempt(name, call):
    try:
        call()
        found[name] = ""
    except OSError as error:
        found[name] = f"{type(error).__name__} {error}"

large = disk / "large"
attempt("bytes", lambda: write_atomically(large, lambda p: p.write_bytes(bytes(4 << 20))))
state = {"a": torch.zeros(1 << 20)}
attempt("state", lambda: write_atomically(large, lambda p: write_state(state, p)))
attempt("room", lambda: require_writable(disk, 100 << 20))
attempt("fits", lambda: require_writable(disk))
found["left"] = [p.name for p in disk.iterdir()] == [ID]
subprocess.run(["mount", "--bind", disk, disk], check=True)
subprocess.run(["mount", "-o", "remount,ro,bind", disk], check=True)
attempt("json", lambda: write_json(disk / "a.json", 1))
attempt("try", lambda: require_writable(disk / "new"))
attempt("lock", lambda: store.locked("new").__enter__())
found["loads"] = store.load(ID).recall == example().recall
print(json.dumps(found))
"""


def test_a_small_and_a_read_only_disk(tmp_path):
    """Oracle: a file system of 2 MB, mounted for a process of its own, then read-only."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    command = ["unshare", "-rm", sys.executable, "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("left") and found.pop("loads") and not found.pop("fits")
    assert found.keys() == {"bytes", "state", "room", "json", "try", "lock"}
    for name, line in found.items():
        assert line.startswith(f"StorageError {tmp_path}") and "XBM_ROOT" in line, (name, line)
        assert "\n" not in line
    for name in ("bytes", "state"):
        assert "the disk is full" in found[name]
    for name in ("json", "try", "lock"):
        assert "read-only" in found[name]


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "full"), (errno.EDQUOT, "quota"), (errno.EROFS, "read-only"),
     (errno.EACCES, "permission")],
)  # fmt: skip
def test_what_the_system_refuses_is_said_in_one_line(tmp_path, monkeypatch, number, words):
    """Oracle: path, fault and remedy, for a write and for the trial before it; nothing is left."""

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    for call in (lambda: write_json(tmp_path / "a.json", 1), lambda: require_writable(tmp_path)):
        with pytest.raises(StorageError, match=rf"^{tmp_path}.*{words}.*XBM_ROOT") as caught:
            call()
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_other_errors_keep_their_words(tmp_path):
    """Oracle: the very error that the writer raised."""
    error = FileNotFoundError(errno.ENOENT, "no kernel")

    def write(path):
        raise error

    with pytest.raises(FileNotFoundError) as caught:
        write_atomically(tmp_path / "a", write)
    assert caught.value is error


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """Oracle: the order of the system's calls: sync of the file, rename, sync of the folder."""
    calls, fsync, replace = [], os.fsync, os.replace

    def synced(descriptor):
        calls.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def renamed(source, target):
        calls.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    write_json(tmp_path / "a.json", 1)
    assert calls == [f".a.json.{os.getpid()}.tmp", "rename", tmp_path.name]


@pytest.mark.parametrize("place", ["file/deep", "file"])
def test_a_file_where_a_folder_belongs(tmp_path, place):
    """Oracle: one line with path and remedy; a missing folder is made, with its parents."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=rf"{place}: a file is where a folder belongs"):
        require_writable(tmp_path / place)
    require_writable(tmp_path / "new" / "deep")
    assert list((tmp_path / "new" / "deep").iterdir()) == []
