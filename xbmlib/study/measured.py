"""Tables of results/ that no notebook's runs give: what benchmarks and searches have measured."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from xbmlib.storage import CHECKOUT, ROOT, StorageError

_BENCHMARK = {"what", "against", "unit", "ours", "reference", "ratio", "machine"}
_COST = {"net", "batch", "ratio", "M", "ms", "peak_mib", "steps", "threads", "machine"}
_SCALING = {"design", "ranks", "dtype", "M", "ms", "traffic", "matched", "near", "m", "D", "larger",
            "flops_float32", "flops_bfloat16", "bandwidth", "tile", "load", "machine"}  # fmt: skip
# The columns of each table.
COLUMNS = {
    "benchmarks": _BENCHMARK | {"sense", "bar", "holds"},
    "benchmarks_growth": {"M", "D", "loss", "ms"},
    "benchmarks_parts": {"batch", "memory", "part", "seconds", "share"},
    "cost": _COST,
    "cost_gpu": _COST,
    "diagnosis": {"use", "data", "seed", "norm", "k", "arm", "R@1", "level", "baseline", "outcome",
                  "warned"},
    "input": _BENCHMARK | {"sense", "bar", "holds"},
    "losses_gpu": _BENCHMARK | {"m", "M", "D"},
    "scaling": _SCALING | {"latency", "link"},
    "scaling_gpu": _SCALING,
    "search_protocol": {"data", "loss", "batch", "ratio", "lr", "lam", "init", "batch_loss", "R@1",
                        "MAP@R", "run"},
    "storm": {"kind", "tried", "survived", "seconds", "reach", "seed", "share"},
    "waiting": _BENCHMARK | {"sense", "bar", "holds"},
}  # fmt: skip
# Columns that a table may have beside those.
FURTHER = {
    "benchmarks": {"reason"},
    "input": {"reason"},
    "losses_gpu": {"sense", "bar", "holds", "bytes", "share", "reason"},
    "waiting": {"reason"},
}
_REMEDY = "restore the committed file, or delete it and measure anew (make bench, make search)"


def stored(name: str, roots: tuple[Path, ...] = ()) -> Path | None:
    """The file that :func:`measured` reads; None where no root has it."""
    paths = [root / "results" / f"{name}.csv" for root in roots or (ROOT, CHECKOUT)]
    return next((path for path in paths if path.is_file()), None)


def measured(name: str, roots: tuple[Path, ...] = ()) -> pd.DataFrame:
    """A table of results/, by default else the one of the checkout.

    Args:
        name: of the CSV file.
        roots: folders with a results/, of which the first that has the file counts; by default
            that of the results, then the checkout.

    Raises:
        FileNotFoundError: none has it.
        StorageError: the file is no table, or lacks columns.
    """
    path = stored(name, roots)
    if path is None:
        folder = (*roots, ROOT)[0] / "results"
        raise FileNotFoundError(f"{name}.csv is not in {folder}: run `make bench` first")
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise StorageError(f"{path}: cannot be read as a table ({reason}); {_REMEDY}") from None
    if absent := COLUMNS[name] - {*table.columns}:
        raise StorageError(f"{path}: no column {', '.join(sorted(absent))}; {_REMEDY}")
    return table
