"""Tests of what is measured before runs on files: shared memory."""

import os
from collections import namedtuple

import pytest

from tests.datasets.trees import sop_tree
from xbmlib.datasets import shared_memory
from xbmlib.study import preflight
from xbmlib.training.experiment import Experiment

Usage = namedtuple("Usage", "total used free")
MIB = 2**20
SOP = Experiment(data="sop", view="paper", batch=4, k=2, steps=3)


@pytest.mark.parametrize(
    ("free", "runs", "workers"), [(31.1, 1, None), (30.9, 1, 7), (31.1, 2, 3), (0.5, 1, 0)]
)
def test_shared_memory_is_measured_before_the_first_run(free, runs, workers, tmp_path, monkeypatch):
    """Oracle: by hand, of batches of 12 test images, 224 × 224 × 3 bytes each: two ahead for each
    of 8 processes and two in use are 18 of 1.72 MiB; runs side by side share it.
    """
    monkeypatch.setenv("XBM_DATA", str(sop_tree(tmp_path)))
    usage = Usage(64 * MIB, 0, int(free * MIB))
    monkeypatch.setattr(shared_memory.shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(8))
    said = preflight._shared_memory([SOP, SOP.replace(batch=8)], runs)
    if workers is None:
        assert said == ""
    else:
        assert f"room for the batches of {workers} reading processes, not of 8" in said
        assert "\n" not in said


def test_the_line_is_printed(tmp_path, monkeypatch, capsys):
    """Oracle: the second line of the report, where shared memory is full."""
    monkeypatch.setenv("XBM_DATA", str(sop_tree(tmp_path)))
    monkeypatch.setattr(preflight, "room_for", lambda held, runs: (0, f"{held} bytes, {runs} runs"))
    e = SOP.replace(backbone="compact", weights=None, dim=16)
    preflight.check([e], tmp_path / "runs", workers=3)
    assert capsys.readouterr().out.splitlines()[1] == f"{12 * 3 * 224 * 224} bytes, 3 runs"
