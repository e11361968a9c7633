"""The same on a GPU: the losses against one read of the memory, recall, a step, a large memory.

    python -m benchmarks.gpu

Prints microseconds, bytes, and the share of the bandwidth; writes results/losses_gpu.csv,
recall_gpu.csv, cost_gpu.csv and scaling_gpu.csv. The first call of each kernel compiles it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import torch

from benchmarks import cost, gpu_losses, gpu_recall, scaling
from benchmarks.losses import BATCH, DIM, ENTRIES, PEER, TRAINED, Case, case, ours, steps
from benchmarks.measure import Row, finish, machine, row, shortfall, write

# MiB beyond the queue that the one pass may take (aim).
EXTRA = 16


def extra_mib(call: Callable[[], Any]) -> float:
    """Peak GPU memory during a call above that allocated before, in MiB."""
    call()
    finish()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def memory_rows(data: Case) -> Iterator[Row]:
    """What each loss takes beyond the queue."""
    for name, make in gpu_losses.LOSSES.items():
        for method, bar in (("search", None), ("one_pass", EXTRA)):
            mib = extra_mib(ours(make(method=method), data))
            yield row(f"extra memory: {name}, {method}", "1 MiB", mib, 1.0,
                      sense="<=" if bar else "", bar=bar, unit="MiB")  # fmt: skip
    for name in ("peer", "peer_ms"):
        mib = extra_mib(steps(data)[name])
        yield row(f"extra memory: {PEER}, {name}", "1 MiB", mib, 1.0, unit="MiB")


def line(found: Row) -> str:
    """One row for the console: time, bytes, share of the bandwidth, and the aim."""
    text = f"{found['what']:<58} {found['ours']:>9.1f} {found['unit']}"
    if "bytes" in found:
        text += f"  {found['bytes'] / 1e6:.1f} MB  {found['share']:.0%} of the bandwidth"
    text += f"  {found['ratio']:.3g} × {found['against']}"
    aim = f" (aim {found['sense']} {found['bar']:g})" if found["sense"] else ""
    return text + aim + shortfall(found)


def main() -> None:
    """Measure and write the tables."""
    if not torch.cuda.is_available():
        sys.exit("no GPU: `make bench` measures on the CPU")
    data = case(TRAINED, on="cuda")
    rate = gpu_losses.bandwidth("cuda")
    print(f"{machine()}: reads {rate / 1e12:.2f} TB/s", flush=True)
    named = {"m": BATCH, "M": ENTRIES, "D": DIM, "machine": machine()}

    def table(rows: Iterator[Row]) -> pd.DataFrame:
        found = []
        for each in rows:
            print(line(each), flush=True)
            found.append(each | named)
        return pd.DataFrame(found)

    losses = [table(gpu_losses.rows(data, rate)), table(memory_rows(data))]
    write("losses", pd.concat(losses, ignore_index=True))
    write("recall", table(gpu_recall.rows("cuda")).drop(columns=["m", "M"]))
    cost.main()
    scaling.main()


if __name__ == "__main__":
    main()
