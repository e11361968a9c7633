"""Tests of many processes against one: real ones, by torchrun with gloo."""

import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
import torch

from tests.distributed.checks import CHECKS
from xbmlib import distributed
from xbmlib.distributed import DistributedError, ShardedMemory

ROOT = Path(__file__).resolve().parents[2]


def torchrun(ranks, *arguments, **environment):
    """Start processes by torchrun's own module; standalone, so that launches do not meet."""
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    path = os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    return subprocess.run(
        [sys.executable, *command, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def launch(tmp_path_factory):
    """What each check found in a launch of so many ranks, all checks in one."""
    launches = {}

    def found(ranks):
        if ranks not in launches:
            folder = tmp_path_factory.mktemp(f"ranks-{ranks}")
            done = torchrun(ranks, "-m", "tests.distributed.checks", folder)
            paths = sorted(folder.glob("*.json"))
            launches[ranks] = [json.loads(p.read_text()) for p in paths], done
        return launches[ranks]

    return found


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("check", CHECKS)
def test_equals_one_process(launch, ranks, check):
    """Oracle: our own loss and queue, and torch's batch normalisation, on the whole batch."""
    found, done = launch(ranks)
    assert len(found) == ranks, done.stderr
    for outcome in found:
        assert outcome.get(check, done.stderr) == ""


def test_without_processes():
    """Oracle: one error that names the remedy, before anything waits for others."""
    v, labels = torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64)
    for call in (
        lambda: distributed.gather(v, labels),
        lambda: ShardedMemory(4, 3),
        lambda: distributed.backward(v.sum(), torch.nn.Linear(3, 2)),
        lambda: distributed.sync_batch_norm(torch.nn.BatchNorm1d(3)),
        lambda: distributed.broadcast_parameters(torch.nn.Linear(3, 2)),
    ):
        with pytest.raises(DistributedError, match="no process group: start with torchrun"):
            call()
    with pytest.raises(DistributedError, match="torchrun --nproc-per-node"):
        distributed.start()


@pytest.mark.parametrize("n", [0, 1, 5, 64, 97])
@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
def test_shares(n, ranks):
    """Oracle: counting. Every row once, in order, sizes that differ by at most one."""
    rows = [list(range(n))[distributed.share(n, rank, ranks)] for rank in range(ranks)]
    assert list(chain.from_iterable(rows)) == list(range(n))
    sizes = {len(part) for part in rows}
    assert max(sizes) - min(sizes) <= 1


def test_it_stands_alone():
    """Oracle: what Python has imported with it: what ``import xbmlib`` does, and no other room."""
    code = "import sys, xbmlib.distributed; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    ours = {name for name in done.stdout.split() if name.startswith("xbmlib.")}
    parts = {name.split(".")[1] for name in ours}
    ground = {"extras", "integers", "losses", "queue", "recall", "registry", "sampler", "state"}
    assert parts == {"bfloat16", "distributed", "xbm", *ground}
