"""Tests of what a signal leaves of the study's commands: processes, temporary files, results."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools.storm.processes import ended, members, wait
from xbmlib.study.ending import _Ended, end_in_order, ending_in_order, work
from xbmlib.training.store import RunStore

ROOT = Path(__file__).resolve().parents[2]
# A study of notebooks that wait, and need no run.
STUDY = """
import sys
from pathlib import Path
from xbmlib.study import __main__ as study
from xbmlib.study import execution
execution.SOURCES = Path(sys.argv[0]).parent
study.NOTEBOOKS = ("first", "second", "third", "fourth")
study.experiments = lambda *_: []
if __name__ == "__main__":
    sys.argv[1:] = ["smoke"]
    study.main()
"""
# Under nohup, SIGHUP would be ignored from the start, and stay so.
SWEEP = """
import signal, sys
from pathlib import Path
from xbmlib.study import execution, sweep
signal.signal(signal.SIGHUP, signal.SIG_DFL)
execution.SOURCES = Path(sys.argv[0]).parent
sweep.main(["notebook", "smoke", "cost"])
"""
WAITS = """
import os, time
from pathlib import Path
(Path(os.environ["MARKS"]) / str(os.getpid())).write_text("")
time.sleep(600)
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]


def alive(pid):
    """Whether a process runs, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def folder():
    """An empty folder; its path is short enough for a socket file."""
    path = Path(tempfile.mkdtemp(dir="/tmp", prefix="t"))
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize(
    ("code", "number", "status"),
    [
        (STUDY, signal.SIGTERM, 128 + signal.SIGTERM),
        (STUDY, signal.SIGKILL, -signal.SIGKILL),
        (SWEEP, signal.SIGHUP, 128 + signal.SIGHUP),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_signal_leaves_no_process_and_no_file(folder, code, number, status):
    """Oracle: the system's list of processes, kernels included; the folders of temporary files and
    of the executed notebooks; the exit status of a shell.
    """
    kernelspec = {"name": "python3", "display_name": "", "language": "python"}
    source = new_notebook(cells=[new_code_cell(WAITS)], metadata={"kernelspec": kernelspec})
    for name in ("first", "second", "third", "fourth", "cost"):
        nbformat.write(source, folder / f"{name}.ipynb")
    (folder / "study.py").write_text(code)
    for name in ("marks", "tmp", "root"):
        (folder / name).mkdir()
    process = subprocess.Popen(
        [sys.executable, str(folder / "study.py")],
        env=os.environ | {
            "PYTHONPATH": str(ROOT), "XBM_ROOT": str(folder / "root"),
            "TMPDIR": str(folder / "tmp"), "MARKS": str(folder / "marks"),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )  # fmt: skip
    number_of_kernels = 1 if code is SWEEP else min(4, len(os.sched_getaffinity(0)))

    def kernels():
        return [int(path.name) for path in (folder / "marks").iterdir()]

    try:
        started = wait(
            lambda: len(kernels()) == number_of_kernels or process.poll() is not None, 900
        )
        assert started and process.poll() is None, process.communicate()[1]
        os.kill(process.pid, number)
        said = process.communicate(timeout=300)[1]
        assert process.returncode == status and "xbmlib" not in said, said  # no traceback of ours
        assert wait(lambda: not members(process.pid) and not any(map(alive, kernels())), 60)
    finally:
        if not ended(process.pid, 1):
            process.communicate()
    assert len(kernels()) == number_of_kernels  # none was started meanwhile
    assert list((folder / "tmp").iterdir()) == []
    assert [path for path in (folder / "root").rglob("*") if path.is_file()] == []


def test_a_signal_while_runs_are_verified(folder):
    """Oracle: the system's list of processes, and the folder of temporary files."""
    stored = ROOT / "results" / "runs"
    id = min(RunStore(stored).ids(), key=lambda id: RunStore(stored).experiment(id).steps)
    shutil.copytree(stored / id, folder / "root" / "results" / "runs" / id)
    (folder / "tmp").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "xbmlib.study.verify"],
        cwd=ROOT,
        env=os.environ | {"XBM_ROOT": str(folder / "root"), "TMPDIR": str(folder / "tmp")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        begun = wait(
            lambda: bool([*(folder / "tmp").rglob(f"{id}/*")]) or process.poll() is not None, 300
        )
        assert begun and process.poll() is None, process.communicate()[1]
        os.kill(process.pid, signal.SIGTERM)
        said = process.communicate(timeout=300)[1]
        assert process.returncode == 128 + signal.SIGTERM and not said, said
        assert wait(lambda: not members(process.pid), 60)
    finally:
        if not ended(process.pid, 1):
            process.communicate()
    assert list((folder / "tmp").iterdir()) == []


def test_a_block_that_no_signal_ended_gives_them_back():
    """Oracle: the handlers from before; one that is ignored stays so, as under nohup, and so does
    each after the first signal. In another thread, which could not, none is taken.
    """
    thread = threading.Thread(target=lambda: taken.append(end_in_order()))
    taken = []
    thread.start()
    thread.join()
    assert taken == [[]]
    before = signal.getsignal(signal.SIGTERM), signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_in_order():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            with pytest.raises(SystemExit) as end:
                signal.raise_signal(signal.SIGTERM)
            assert end.value.code == 128 + signal.SIGTERM
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        signal.signal(signal.SIGTERM, before[0])
        with ending_in_order():
            assert signal.getsignal(signal.SIGTERM) is not before[0]
        assert signal.getsignal(signal.SIGTERM) is before[0] is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGHUP, before[1])


@pytest.mark.parametrize("wait", [60, 0], ids=["in the block", "at its end"])
def test_a_signal_in_a_destructor_still_ends_the_process(wait):
    """Oracle: the exit status of a shell, and what the clean-up prints; Python drops what a
    destructor raises.
    """
    code = f"""
import os, signal, time
from xbmlib.study.ending import ending_in_order
class Slow:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
try:
    with ending_in_order():
        Slow()
        time.sleep({wait})
    print("went on")
finally:
    print("cleaned up")
"""
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (128 + signal.SIGTERM, "")
    assert found.stdout == "cleaned up\n"


def test_what_no_signal_ended_is_raised():
    """Oracle: the message of a function that ends itself; one that returns is let through."""

    def refuse():
        sys.exit("give another value")

    with pytest.raises(SystemExit, match="give another value"):
        work(refuse)
    work(str, "")


def test_a_process_returns_what_a_signal_ended_it_with():
    """Oracle: what was put in."""
    end = pickle.loads(pickle.dumps(_Ended(signal.SIGTERM, [signal.SIGTERM])))
    assert (end.code, end.number) == (128 + signal.SIGTERM, signal.SIGTERM)
    assert end.ignored == [signal.SIGTERM]
