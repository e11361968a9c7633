"""Measurements on this machine that check the cost model of a very large memory.

    python -m benchmarks.scaling

The rates of the machine (products, reading, the exchange between two processes), and steps against
memories of several sizes: by one process, and on a CPU by two with the memory replicated or
sharded. One thread per process. Traffic is counted by the kernel on the loopback device, which no
other program may use meanwhile. Writes results/scaling.csv, or on a GPU results/scaling_gpu.csv,
in less than a minute.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from benchmarks.losses import BATCH, DIM, TRAINED, Case, case
from benchmarks.measure import device, machine, medians, write
from xbmlib import distributed
from xbmlib.losses import ContrastiveLoss, candidates
from xbmlib.queue import CrossBatchMemory

SIZES = (1 << 13, 1 << 15, 1 << 17)
# On a GPU: sizes at which the loss searches the memory rather than taking it whole.
GPU_SIZES = (1 << 19, 1 << 21, 1 << 23)
RANKS = 2
DTYPES = (torch.float32, torch.bfloat16)
ROUNDS = 7
Row = dict[str, Any]


def rates() -> Row:
    """FLOP/s of a search's products in each dtype, bytes read per second, seconds per tile."""
    on, larger = device(), candidates.GPU_SCALE if torch.cuda.is_available() else 1
    rows = candidates.DENSE_LIMIT.get(on.type, candidates.TILE_SIMILARITIES) // BATCH
    found: Row = {"larger": larger}
    for dtype in DTYPES:
        tile, probe = (torch.randn(n, DIM, device=on).to(dtype) for n in (rows, BATCH))
        ms = medians(ROUNDS * 3, product=partial(torch.mm, tile, probe.T))["product"]
        found[f"flops_{str(dtype)[6:]}"] = 2 * tile.numel() * BATCH / ms * 1e3
    large = torch.ones(1 << 26, device=on)
    ms = medians(ROUNDS, read=large.sum)["read"]
    few = torch.randn(1, DIM, device=on)

    def tile_alone() -> None:
        """The work of a search per tile, on a tile of next to no entries."""
        high = torch.mm(few, probe.float().T).amax(1)
        (high <= 0).logical_not_().nonzero()

    waiting = medians(ROUNDS * 3, tile=tile_alone)["tile"]
    return found | {"bandwidth": 4 * large.numel() / ms * 1e3, "tile": waiting / 1e3}


def columns(of: Case, entries: Tensor) -> Row:
    """Entries of the anchors' classes, and entries above λ as a negative: means over batches."""
    found = []
    for v, labels in zip(of.batches[:ROUNDS], of.labels[:ROUNDS], strict=True):
        same = labels[:, None] == of.entry_labels
        near = (v.to(entries) @ entries.T > ContrastiveLoss().lam) & ~same
        found.append([int(same.any(0).sum()), int(near.any(0).sum())])
    matched, near_ones = torch.tensor(found).double().mean(0).tolist()
    return {"matched": matched, "near": near_ones}


def one(of: Case, dtype: torch.dtype) -> tuple[Row, Callable[[], object]]:
    """A step by one process: enqueue, loss, gradient."""
    memory = CrossBatchMemory(*of.entries.shape, dtype=dtype, device=of.entries.device)
    memory.enqueue(of.entries, of.entry_labels)
    loss, batches = ContrastiveLoss(), cycle(zip(of.batches, of.labels, strict=True))

    def step() -> None:
        batch, labels = next(batches)
        v = batch.clone().requires_grad_()
        own = memory.enqueue(v, labels)
        loss(v, labels, memory.embeddings, memory.labels, own=own).backward()

    return columns(of, memory.embeddings), step


def many(of: Case, sharded: bool) -> tuple[Row, Callable[[], object]]:
    """The same by several processes, each with its share of the batch, after a gather."""
    rank, ranks = distributed.rank_and_size()
    memory = (distributed.ShardedMemory if sharded else CrossBatchMemory)(*of.entries.shape)
    memory.enqueue(of.entries, of.entry_labels)
    loss, mine = ContrastiveLoss(), distributed.share(BATCH, rank, ranks)
    batches = cycle(zip(of.batches[:, mine], of.labels[:, mine], strict=True))

    def step() -> None:
        embeddings, labels = next(batches)
        v = embeddings.clone().requires_grad_()
        batch = distributed.gather(v, labels)
        own = memory.enqueue(batch.embeddings, batch.labels)
        distributed.memory_loss(loss, batch, memory, own).backward()

    return columns(of, of.entries), step


def sent() -> int:
    """Bytes that the kernel has sent over the loopback device; -1 where it reports none."""
    path = Path("/proc/net/dev")
    if not path.exists():
        return -1
    (line,) = (x for x in path.read_text().splitlines() if x.strip().startswith("lo:"))
    return int(line.split(":")[1].split()[8])


def counted(step: Callable[[], object]) -> float:
    """Bytes sent in one step by all processes together."""
    dist.barrier()
    before = sent()
    dist.barrier()
    for _ in range(ROUNDS):
        step()
    dist.barrier()
    after = sent()
    # No process continues before all have read.
    dist.barrier()
    return (after - before) / ROUNDS


def worker(rank: int, file: str, out: str) -> None:
    """The work of one of several processes."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=RANKS)
    small, large = torch.zeros(8), torch.zeros(1 << 20)
    into = [[torch.empty_like(x) for _ in range(RANKS)] for x in (small, large)]
    calls = {
        "small": lambda: dist.all_gather(into[0], small),
        "large": lambda: dist.all_gather(into[1], large),
    }
    exchange = medians(3 * ROUNDS, **calls)
    latency = exchange["small"] / 1e3
    link: Row = {
        "latency": latency,
        "link": 4 * large.numel() / max(exchange["large"] / 1e3 - latency, 1e-9),
    }
    rows = []
    for size in SIZES:
        of = case(TRAINED, size)
        for sharded in (False, True):
            facts, step = many(of, sharded)
            ms = medians(ROUNDS, step=step)["step"]
            rows.append(
                {"design": "sharded" if sharded else "replicated", "ranks": RANKS,
                 "dtype": "float32", "M": size, "ms": ms, "traffic": counted(step)} | facts
            )  # fmt: skip
    if rank == 0:
        torch.save((link, rows), out)
    dist.destroy_process_group()


def shared() -> tuple[Row, list[Row]]:
    """Rates of the exchange between two processes, and rows of their steps."""
    with tempfile.TemporaryDirectory() as folder:
        files = f"{folder}/init", f"{folder}/out.pt"
        mp.spawn(worker, files, RANKS)  # type: ignore[attr-defined]
        found: tuple[Row, list[Row]] = torch.load(files[1], weights_only=True)
        return found


def main() -> None:
    """Measure and write the table."""
    torch.set_num_threads(1)
    load, gpu = os.getloadavg()[0], torch.cuda.is_available()
    found = rates()
    rows: list[Row] = []
    for size in GPU_SIZES if gpu else SIZES:
        of = case(TRAINED, size, on=device())
        for dtype in DTYPES:
            facts, step = one(of, dtype)
            ms = medians(ROUNDS, step=step)["step"]
            rows.append(
                {"design": "one process", "ranks": 1, "dtype": str(dtype)[6:], "M": size, "ms": ms,
                 "traffic": 0} | facts
            )  # fmt: skip
    # One process per GPU, whose traffic bypasses the kernel's counters.
    link, many_rows = ({}, []) if gpu else shared()
    common = {"m": BATCH, "D": DIM} | found | link | {"load": load, "machine": machine()}
    table = pd.DataFrame([row | common for row in rows + many_rows])
    # The physical limit: one read of the entries that one of the processes holds.
    held = table["M"] / table["ranks"].where(table["design"] == "sharded", 1)
    read = held * DIM * table["dtype"].map({"float32": 4, "bfloat16": 2}) / table["bandwidth"]
    shown = ["design", "dtype", "M", "ms", "one read, ms", "traffic", "matched", "near"]
    print(table.assign(**{"one read, ms": 1e3 * read})[shown].to_string())
    print(found | link)
    write("scaling", table)


if __name__ == "__main__":
    main()
