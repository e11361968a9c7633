"""The same on a GPU: the losses against a memory, a training step, a very large memory.

    python -m benchmarks.gpu

Writes results/losses_gpu.csv, cost_gpu.csv and scaling_gpu.csv, in two minutes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import torch

from benchmarks import cost, scaling
from benchmarks.losses import BATCH, DIM, ENTRIES, PEER, TRAINED, case, steps
from benchmarks.measure import Row, faster, finish, machine, medians, row, write

ROUNDS = 50
NAMES = {
    "contrastive": "contrastive, fp32",
    "bf16": "contrastive, bf16 memory",
    "shadow": "contrastive, fp32 with bf16 shadow",
    "ms": "multi-similarity",
    "triplet": "triplet",
}


def extra_mib(call: Callable[[], Any]) -> float:
    """Peak GPU memory during a call above that allocated before, in MiB."""
    call()
    finish()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def rows() -> Iterator[Row]:
    """Every loss at the paper's sizes, compared with the bare product and the peer library."""
    calls = steps(case(TRAINED, on="cuda"))
    t = medians(ROUNDS, **calls)
    yield row("bare product, bf16", "bare product, fp32", t["bare16"], t["bare"])
    for key, what in NAMES.items():
        yield row(what, "bare product, fp32", t[key], t["bare"])
    for key in ("contrastive", "bf16", "shadow"):
        yield faster(NAMES[key], f"{PEER}, fp32", t[key], t["peer"], None)
    yield faster(NAMES["ms"], f"{PEER} with its miner", t["ms"], t["peer_ms"], None)
    peers = {"peer": f"{PEER}, contrastive", "peer_ms": f"{PEER}, multi-similarity"}
    for key, what in (NAMES | peers).items():
        yield row(f"extra memory: {what}", "the similarities, fp32", extra_mib(calls[key]),
                  BATCH * ENTRIES * 4 / 2**20, unit="MiB")  # fmt: skip


def main() -> None:
    """Measure and write the tables."""
    if not torch.cuda.is_available():
        sys.exit("no GPU: `make bench` measures on the CPU")
    named = {"m": BATCH, "M": ENTRIES, "D": DIM, "machine": machine()}
    # No bars: a ratio on one GPU says little about another.
    table = pd.DataFrame([found | named for found in rows()])
    table = table.drop(columns=["sense", "bar", "holds"])
    print(table[["what", "against", "unit", "ours", "reference", "ratio"]].to_string(), flush=True)
    write("losses", table)
    cost.main()
    scaling.main()


if __name__ == "__main__":
    main()
