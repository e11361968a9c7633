"""One rank of two killed: the other ends by itself, and both resume to the same bytes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

from tools.storm.processes import ended, wait
from tools.storm.trials import Trials, contents, difference
from xbmlib.storage import CHECKOUT

RUN = {"split": "smoke", "precision": "fp32", "batch": 10, "k": 2, "steps": 16, "start": 3,
       "ratio": 0.01, "dim": 16, "log_every": 1, "memory_shards": True}  # fmt: skip
TIME_OUT = 60.0  # seconds in which the other rank has to end


def _start(experiment: Path, store: Path) -> list[subprocess.Popen[bytes]]:
    """Two ranks as torchrun starts them, but without its agent, which would end the other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "xbmlib.train", str(experiment), "--store", str(store)]
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
              "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "storm", "OMP_NUM_THREADS": "1",
              "PYTHONPATH": str(CHECKOUT)}  # fmt: skip
    return [
        subprocess.Popen(
            [*command, "--checkpoint-steps", "2"],
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.DEVNULL,
            stderr=store.with_suffix(f".{rank}.log").open("ab"),
            start_new_session=True,
        )
        for rank in range(2)
    ]


def _finish(experiment: Path, store: Path) -> str:
    codes = [rank.wait() for rank in _start(experiment, store)]
    return "" if codes == [0, 0] else f"exit codes {codes}"


def one_of_two(place: Path, chance: Random, count: int) -> Trials:
    """Kill a random rank at a random moment after the first checkpoint."""
    experiment, waits, trials = place / "e.json", [0.0], Trials()
    experiment.write_text(json.dumps(RUN))
    _finish(experiment, place / "whole")
    whole = contents(place / "whole")
    for number in range(count):
        store = place / str(number)
        ranks: list[Any] = _start(experiment, store)
        wait(lambda store=store: any(store.glob("*/checkpoint.pt")))  # type: ignore[misc]
        time.sleep(chance.uniform(0, 1))
        at = chance.randrange(2)
        ranks[at].kill()
        began = time.monotonic()
        fault = ""
        try:
            ranks[1 - at].wait(TIME_OUT)
        except subprocess.TimeoutExpired:
            fault = f"rank {1 - at} had not ended after {TIME_OUT:.0f} s"
            ranks[1 - at].kill()
        waits.append(time.monotonic() - began)
        ranks[at].wait()
        if not all([ended(rank.pid) for rank in ranks]):
            fault = fault or "processes left"
        fault = fault or _finish(experiment, store)
        trials.add(fault or difference(store, whole))
    trials.reach = f"without torchrun's agent; the other rank ended within {max(waits):.1f} s"
    return trials
