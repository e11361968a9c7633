"""Table 2's columns: time of a step and memory of the process, without and with a queue.

    python -m benchmarks.cost

Each case runs in a fresh process, so that none inherits another's memory. Two networks: the compact
one of the bundled study, in the study's trainer, and GoogLeNet at the paper's size (224×224,
D = 512, a memory of SOP's 59,551 training images) on random images and weights, whose cost is that
of real ones. On the GPU if there is one; writes results/cost.csv, or results/cost_gpu.csv.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pandas as pd
import torch
from torch.nn import functional as F

from benchmarks.losses import CLASSES, DIM, ENTRIES
from benchmarks.measure import device, finish, machine, peak_mib, write
from benchmarks.training import trainer
from xbmlib import backbones, bfloat16, paper
from xbmlib.losses import ContrastiveLoss
from xbmlib.queue import CrossBatchMemory
from xbmlib.study.profiles import PROFILES, experiment

# Batch size and R_M of Table 2's rows.
CASES = ((64, 0.0), (256, 0.0), (64, 0.01), (64, 1.0))
# Steps measured, after a tenth as many for warm-up; one of GoogLeNet takes seconds on a CPU.
STEPS = {"compact": 60, "googlenet": 60 if torch.cuda.is_available() else 3}
SIDE = 224

Step = Callable[[], None]


def compact(batch: int, ratio: float) -> tuple[Step, int]:
    """A step of the study's trainer with a full memory, and M."""
    e = experiment(PROFILES["quick"], batch, seed=0, ratio=ratio)
    run = trainer(e.replace(start=0, init="sample"))
    loader = run.batches()

    def step() -> None:
        run.update(*next(loader))

    return step, e.memory_size(len(run.data.train))


def googlenet(batch: int, ratio: float) -> tuple[Step, int]:
    """A step at the paper's size with a full memory, and M."""
    torch.manual_seed(0)
    on = device()
    net = backbones.build("googlenet", DIM).to(on).to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(net.parameters(), 1e-4, weight_decay=5e-4, fused=True)
    loss = ContrastiveLoss()
    size = round(ratio * ENTRIES)
    memory = CrossBatchMemory(size, DIM, device=on, shadow=True) if size else None
    if memory is not None:
        for rows in torch.arange(size).split(1 << 13):
            entries = F.normalize(torch.randn(len(rows), DIM))
            memory.enqueue(entries, torch.randint(0, CLASSES, (len(rows),)))

    def step() -> None:
        x = torch.rand(batch, 3, SIDE, SIDE, device=on)
        x = x.contiguous(memory_format=torch.channels_last)
        labels = torch.randint(0, CLASSES, (batch // 4,), device=on).repeat_interleave(4)
        with bfloat16.autocast(on):
            v = net(x)
        total = loss(v, labels)
        if memory is not None:
            own = memory.enqueue(v, labels)
            total = total + loss(
                v, labels, memory.embeddings, memory.labels, own=own, shadow=memory.shadow
            )
        optimiser.zero_grad()
        total.backward()
        optimiser.step()

    return step, size


NETS: dict[str, Callable[[int, float], tuple[Step, int]]] = {
    "compact": compact,
    "googlenet": googlenet,
}


def case(net: str, batch: int, ratio: float) -> dict[str, Any]:
    """One row: median milliseconds of a step, and peak memory of the process."""
    torch.set_num_threads(1 if net == "compact" else len(os.sched_getaffinity(0)))
    step, size = NETS[net](batch, ratio)
    steps = STEPS[net]
    times = []
    for _ in range(1 + steps // 10 + steps):
        began = time.perf_counter()
        step()
        finish()
        times.append(1e3 * (time.perf_counter() - began))
    return {
        "net": net, "batch": batch, "ratio": ratio, "M": size,
        "ms": statistics.median(times[-steps:]), "peak_mib": peak_mib(), "steps": steps,
        "threads": torch.get_num_threads(), "machine": machine(),
    }  # fmt: skip


def main() -> None:
    """Measure every case in its own process and write the table."""
    rows = []
    for net in NETS:
        for batch, ratio in CASES:
            with ProcessPoolExecutor(1, mp.get_context("spawn")) as pool:
                rows.append(pool.submit(case, net, batch, ratio).result())
            print({k: v for k, v in rows[-1].items() if k != "machine"}, flush=True)
    table = pd.DataFrame(rows)
    write("cost", table)
    print(ratios(table))


def ratios(table: pd.DataFrame) -> str:
    """Each net's step with a memory as a multiple of that with none, beside Table 2's hours."""
    hours, lines = paper.TRAINING_HOURS, []
    for (net, batch), part in table.groupby(["net", "batch"], sort=False):
        ms = part.set_index("ratio")["ms"]
        lines += [
            f"{net}, batch {batch}, R_M = {ratio:g}: {ms[ratio] / ms[0.0]:.2f} times the step with "
            f"no memory (Table 2: {hours[ratio].value / hours[0.0].value:.2f})"
            for ratio in ms.index
            if ratio
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
