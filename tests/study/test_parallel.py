"""Tests of runs in parallel processes."""

import multiprocessing as mp
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import util
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools.storm.processes import ended, members, wait
from xbmlib.datasets.orphans import follow_parent
from xbmlib.study.ending import stop
from xbmlib.study.parallel import processors

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import sys
from pathlib import Path
from xbmlib.study.parallel import run_all
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore
if __name__ == "__main__":
    e = Experiment(split="smoke", steps=10**6, evaluations=1)
    run_all([e, e.replace(seed=1)], RunStore(Path(sys.argv[1])))
"""


@pytest.fixture
def temporary():
    """An empty folder; its path is short enough for a socket file."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="t") as path:
        yield Path(path)


def test_a_sigkill_leaves_no_process(tmp_path, temporary):
    """Oracle: the system's own list of the session: the two runs, the manager and the tracker of
    resources end with the process that was killed; and no folder of their sockets is left.
    """
    (tmp_path / "code.py").write_text(CODE)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "code.py"), str(tmp_path / "runs")],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 240
    while len(list(tmp_path.glob("runs/*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert process.poll() is None and len(members(process.pid)) >= 3
    assert list(temporary.glob("pymp-*"))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert ended(process.pid) and not list(temporary.glob("pymp-*"))


def test_a_pool_that_is_stopped_ends_what_it_runs():
    """Oracle: the futures: what runs, for an hour, ends at once; what waits is cancelled."""
    with ProcessPoolExecutor(1, mp.get_context("spawn")) as pool:
        running, *waiting = (pool.submit(time.sleep, 3600) for _ in range(4))
        (process,) = pool._processes.values()
        stop(pool)
        assert isinstance(running.exception(timeout=120), BrokenProcessPool)
        assert waiting[-1].cancelled()
    # The pool waits for its worker in a thread of its own, and one of the two learns how it ended.
    assert wait(lambda: process.exitcode is not None)
    assert process.exitcode == -signal.SIGTERM


def test_several_kinds_of_processor_are_named():
    """Oracle: by hand: two with their instructions, one of which the architecture alone is known;
    a GPU by its name; nothing of one kind.
    """
    made = [{"device": "cpu", "machine": "x86_64", "processor": "A, AVX512"}] * 2
    made += [{"device": "cpu", "machine": "x86_64"}, {"device": "H100", "machine": "x86_64"}]
    runs = [SimpleNamespace(provenance=one) for one in made]
    assert processors(runs[:2]) == processors([]) == ""
    assert processors(runs) == "trained on A, AVX512: 2; x86_64: 1; H100: 1"


def _follower(pipe):
    follow_parent()
    pipe.send(os.getpid())
    time.sleep(3600)


def _parent_of_follower(pipe):
    mp.get_context("fork").Process(target=_follower, args=(pipe,)).start()
    time.sleep(3600)


def test_an_orphan_leaves_the_sockets_of_others():
    """Oracle: the file system: the folder of the sockets of this process, of which the orphan is a
    grandchild, is still there once the orphan has ended.
    """
    folder = Path(util.get_temp_dir())
    reader, writer = mp.Pipe(duplex=False)
    child = mp.get_context("fork").Process(target=_parent_of_follower, args=(writer,))
    child.start()
    writer.close()
    assert reader.poll(60) and reader.recv() != child.pid
    child.kill()
    # The orphan held the other end.
    with pytest.raises(EOFError):
        reader.recv()
    assert folder.is_dir()
