"""Tests of the number of processes that read images, by the room in shared memory."""

import os
import subprocess
import sys
import warnings
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from tests.datasets.trees import sop_tree, write_photo
from xbmlib import datasets
from xbmlib.datasets import shared_memory
from xbmlib.training.experiment import Experiment
from xbmlib.training.loading import test_batches as loaded_for_test
from xbmlib.training.loading import training_batches

ROOT = Path(__file__).resolve().parents[2]
Usage = namedtuple("Usage", "total used free")
MIB = 2**20


def having(monkeypatch, free, cores=8):
    """Shared memory with so much free, in bytes, on a machine of so many cores."""
    monkeypatch.setattr(shared_memory.shutil, "disk_usage", lambda _: Usage(64 * MIB, 0, free))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(cores))


@pytest.mark.parametrize(
    ("free", "ranks", "workers"),
    [(18, 1, 8), (17, 1, 7), (6, 1, 2), (5, 1, 1), (4, 1, 1), (3, 1, 0), (0, 1, 0), (36, 2, 8),
     (12, 2, 2), (6, 4, 0)],
)  # fmt: skip
def test_what_there_is_room_for(monkeypatch, free, ranks, workers):
    """Oracle: batches of 1 MiB, two ahead per process and two in use, by hand; a warning where
    that is fewer than one per core.
    """
    having(monkeypatch, free * MIB)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(ranks))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert shared_memory.reading_processes(MIB) == workers
    assert len(caught) == (workers < 8)
    if caught:
        assert f"of 64 MiB has room for the batches of {workers} " in str(caught[0].message)


def test_the_same_batches_without_a_worker(tmp_path, monkeypatch):
    """Oracle: the batches that workers read, bit by bit, in training and in testing."""
    monkeypatch.setenv("XBM_DATA", str(sop_tree(tmp_path)))
    images = datasets.load("sop", view="paper").train
    e = Experiment(data="sop", view="paper", batch=4, k=2, steps=3)

    def batches():
        return [*training_batches(e, images), *loaded_for_test(images, 5)]

    wanted = batches()
    having(monkeypatch, 0)
    with pytest.warns(UserWarning, match="room for the batches of 0 reading"):
        found = batches()
    assert len(found) == len(wanted) == 3 + 3
    for ours, theirs in zip(found, wanted, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


ISOLATED = ["unshare", "--user", "--map-root-user", "--mount"]
CODE = """
import torch, sys
from pathlib import Path
from xbmlib.datasets import ImageFiles
from xbmlib.datasets.views import VIEWS
from xbmlib.training.loading import test_batches
n = 520
images = ImageFiles(Path(sys.argv[1]), ["a.jpg"] * n, torch.zeros(n, dtype=torch.int64),
                    VIEWS["paper"])
print(sum(len(batch[0]) for batch in test_batches(images, 512)))
"""


isolated = pytest.mark.skipif(
    subprocess.run([*ISOLATED, "true"], capture_output=True, check=False).returncode != 0,
    reason="no mount of its own for a process here",
)


def mounted(mount, code, *arguments):
    """A program run with mounts of its own."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(
        [*ISOLATED, "sh", "-c", f'{mount} && exec "$@"', "sh", *command],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@isolated
def test_a_container_of_64_mib(tmp_path):
    """Oracle: the number of images, and one line, where /dev/shm is a real file system of 64 MiB
    and a batch of 512 images has 77 MB.
    """
    write_photo(tmp_path / "a.jpg", 0, 0, (40, 40))
    done = mounted("mount -t tmpfs -o size=64m tmpfs /dev/shm", CODE, tmp_path)
    assert done.stdout == "520\n", done.stderr
    assert done.stderr.count("of 64 MiB has room for the batches of 0 reading") == 1


IN_PARALLEL = """
import sys
from pathlib import Path
from xbmlib.storage import StorageError
from xbmlib.study.parallel import run_all
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore
try:
    run_all([Experiment(split="smoke", steps=2)], RunStore(Path(sys.argv[1])))
except StorageError as error:
    print(error)
"""


PACKED = """
import sys
from xbmlib.datasets.pack import main
sys.exit(main(["sop", "--original", "--root", sys.argv[1]]))
"""


@isolated
def test_shared_memory_that_cannot_be_written(tmp_path):
    """Oracle: a file system mounted read-only: images are read without other processes, said in
    one line, packed too; runs in parallel, which need it, are refused before any is trained.
    """
    write_photo(tmp_path / "a.jpg", 0, 0, (40, 40))
    read_only = "mount -t tmpfs -o ro tmpfs /dev/shm"
    done = mounted(read_only, CODE, tmp_path)
    assert done.stdout == "520\n", done.stderr
    assert done.stderr.count("cannot be written to: images are read by the run itself") == 1
    done = mounted(read_only, IN_PARALLEL, tmp_path / "runs")
    assert done.stdout.startswith("/dev/shm cannot be written to, and processes"), done.stderr
    assert done.stdout.count("\n") == 1 and not list((tmp_path / "runs").iterdir())
    sop_tree(tmp_path)
    done = mounted(read_only, PACKED, tmp_path)
    assert done.stdout.strip().endswith("sop-original.pack"), done.stderr
    assert done.stderr.count("images are read by the run itself") == 1
