"""A sweep by Snakemake, killed with all its processes and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

from tools.storm.processes import ended
from tools.storm.trials import Trials, contents
from xbmlib.storage import CHECKOUT

# Two runs of seven steps at the profile smoke.
NOTEBOOK = "recall_sop"


def snakemake(root: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a sweep over one notebook at the profile smoke, in a session of its own."""
    command = [sys.executable, "-m", "snakemake", "-c2", "--snakefile", "workflow/Snakefile"]
    config = ["--config", "profile=smoke", f"notebooks={NOTEBOOK}", "checkpoint_steps=1"]
    return subprocess.Popen(
        [*command, *arguments, *config],
        cwd=CHECKOUT,
        env=os.environ | {"XBM_ROOT": str(root), "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _finish(root: Path) -> str:
    process = snakemake(root)
    said, _ = process.communicate()
    return f"exit code {process.returncode}: {said[-500:]}" if process.returncode else ""


def _numbers(root: Path) -> dict[str, object]:
    """What a sweep measured and exported; a notebook and Snakemake's own records have the clock."""
    found = contents(root)
    own = (".snakemake/", "results/notebooks/", "results/sweep")
    return {name: content for name, content in found.items() if not name.startswith(own)}


def swept(place: Path, chance: Random, count: int) -> Trials:
    """Kill a sweep at random moments of its work: planning, runs, notebook, verdicts."""
    trials, stages = Trials(), set()
    began = time.monotonic()
    _finish(place / "whole")
    seconds = time.monotonic() - began
    whole = _numbers(place / "whole")
    for number in range(count):
        root = place / str(number)
        process = snakemake(root)
        time.sleep(chance.uniform(0.2, 1) * seconds)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        stages.add(_stage(root))
        fault = "" if ended(process.pid) else "processes left"
        fault = fault or _finish(root)
        found = _numbers(root)
        names = sorted(n for n in found.keys() | whole.keys() if found.get(n) != whole.get(n))
        trials.add(fault or (names[0] if names else ""))
    trials.reach = f"killed {' and '.join(sorted(stages))}"
    return trials


def _stage(root: Path) -> str:
    if any(root.glob("figures/*/*")):
        return "in or after the notebook"
    if any(root.glob("results/runs/*/recall.json")):
        return "between the runs"
    return "in a run" if any(root.glob("results/runs/*")) else "before the runs"
