"""Rows of the benchmark tables, and their measurement."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from xbmlib.storage import ROOT, write_csv
from xbmlib.training.provenance import processor

Row = dict[str, Any]
# The reason of a row that falls short before anybody has found one.
NOT_EXPLAINED = "not explained"


def row(
    what: str,
    against: str,
    ours: float,
    reference: float,
    *,
    ratio: float | None = None,
    sense: str = "",
    bar: float | None = None,
    unit: str = "ms",
    reason: str = NOT_EXPLAINED,
) -> Row:
    """One row of results/benchmarks.csv; without a bar, ``holds`` is empty.

    Args:
        what: the quantity measured.
        against: what it is compared with.
        ours: our value.
        reference: the value compared with.
        ratio: ours / reference, unless given.
        sense: "<=" or ">=": the relation of the ratio to the bar that holds.
        bar: the bar.
        unit: of both values.
        reason: why the ratio falls short of the bar; kept in a row that does.
    """
    ratio = ours / reference if ratio is None else ratio
    # A bool, as the False of NumPy is not `False`.
    holds = None if bar is None else bool(ratio <= bar if sense == "<=" else ratio >= bar)
    return {
        "what": what, "against": against, "unit": unit, "ours": ours, "reference": reference,
        "ratio": ratio, "sense": sense, "bar": bar, "holds": holds,
        "reason": reason if holds is False else "",
    }  # fmt: skip


def faster(
    what: str,
    against: str,
    ours: float,
    reference: float,
    bar: float | None,
    reason: str = NOT_EXPLAINED,
) -> Row:
    """A row whose ratio is the factor by which ours is faster."""
    sense = ">=" if bar else ""
    return row(what, against, ours, reference, ratio=reference / ours, sense=sense, bar=bar,
               reason=reason)  # fmt: skip


def line(row: Row) -> str:
    """One row as a line for the console: the ratio, its bar, and why it falls short of it."""
    bar = f" (bar {row['sense']} {row['bar']:g})" if row["bar"] is not None else ""
    values = f"{row['ours']:.4g} to {row['reference']:.4g} {row['unit']}".rstrip()
    return f"{row['what']} / {row['against']}: {row['ratio']:.3g}, {values}{bar}{shortfall(row)}"


def shortfall(row: Row) -> str:
    """What a line says at its end where the ratio falls short of its bar; else nothing."""
    return f"  FALLS SHORT: {row['reason']}" if row["holds"] is False else ""


def closing(rows: list[Row]) -> str:
    """The rows that fall short of their bar, or that none does."""
    short = [line(found) for found in rows if found["holds"] is False]
    return "\n".join(
        ["", f"{len(short)} fall short:", *short] if short else ["", "every bar holds"]
    )


def timings(
    rounds: int, clock: Callable[[], float] = time.perf_counter, /, **calls: Callable[[], Any]
) -> dict[str, list[float]]:
    """Milliseconds of each call in each round, interleaved so that all meet the same load.

    Args:
        rounds: timed calls of each, after one for warm-up.
        clock: in seconds; ``time.process_time`` excludes other processes on the machine.
        calls: by name.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(rounds + 1):
        for name, call in calls.items():
            began = clock()
            call()
            finish()
            if i:
                times[name].append(1e3 * (clock() - began))
    return times


def duration(call: Callable[[], object]) -> float:
    """Duration of one call, in seconds."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def medians(
    rounds: int, clock: Callable[[], float] = time.perf_counter, /, **calls: Callable[[], Any]
) -> dict[str, float]:
    """Median milliseconds of each call; see :func:`timings`."""
    found = timings(rounds, clock, **calls)
    return {name: statistics.median(times) for name, times in found.items()}


def against(base: str, times: dict[str, list[float]]) -> dict[str, float]:
    """Milliseconds of each call as its median ratio to another one of the same round.

    A load that comes and goes on the machine changes both times of a round, and the ratio little.

    Args:
        base: name of the call that the others are compared with.
        times: of :func:`timings`.

    Returns:
        The median ratio of each call, times the median of ``base``.
    """
    unit = statistics.median(times[base])
    return {
        name: unit * statistics.median(a / b for a, b in zip(found, times[base], strict=True))
        for name, found in times.items()
    }


def device() -> torch.device:
    """The device to measure: the GPU, if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def finish() -> None:
    """Wait until the GPU, if any, has finished its queued work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def write(name: str, table: pd.DataFrame) -> None:
    """Write results/<name>.csv; with a GPU results/<name>_gpu.csv."""
    ending = "_gpu" if torch.cuda.is_available() else ""
    write_csv(ROOT / "results" / f"{name}{ending}.csv", table)


def publish(name: str, rows: list[Row]) -> None:
    """Write results/<name>.csv, with the machine, and print each row and what falls short."""
    table = pd.DataFrame([found | {"machine": machine()} for found in rows])
    write_csv(ROOT / "results" / f"{name}.csv", table)
    print("\n".join(map(line, rows)), closing(rows), sep="\n")


def extra_mib(call: Callable[[], Any]) -> float:
    """Peak resident memory of the process during a call above that before, in MiB.

    Only Linux reports it; elsewhere NaN.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    call()
    gc.collect()
    # Freed blocks that the allocator keeps would hide the memory that the call takes.
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _kib(status, "VmRSS")
    call()
    return (_kib(status, "VmHWM") - before) / 1024


def peak_mib() -> float:
    """Peak memory of this process so far, in MiB: on the GPU if there is one, else resident."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def machine() -> str:
    """The GPU, or else the processor and its cores, and the version of torch."""
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    return f"{processor()}, {len(os.sched_getaffinity(0))} cores, torch {torch.__version__}"


def _kib(status: Path, name: str) -> int:
    (line,) = (line for line in status.read_text().splitlines() if line.startswith(name + ":"))
    return int(line.split()[1])
