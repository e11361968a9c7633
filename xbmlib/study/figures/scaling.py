"""What a memory for a billion samples costs on many GPUs (Section 4.3): a model, and its check.

The model is :mod:`xbmlib.study.figures.cost_model`. Its rates, and steps that it predicts, were
measured on a CPU (``make bench``, results/scaling.csv) and on one GPU (``python -m
benchmarks.gpu``, results/scaling_gpu.csv); the exchange among many GPUs is an explicit assumption.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import pandas as pd
from pydantic import Field

from xbmlib import paper
from xbmlib.losses import candidates
from xbmlib.study.comparison import Quantity
from xbmlib.study.figures import benchmarks
from xbmlib.study.figures.cost_model import BYTES, NAMES, Load, Rates, cost
from xbmlib.study.measured import measured
from xbmlib.study.notebook import Checked
from xbmlib.study.verdict import Verdict, judge, judged
from xbmlib.study.words import listed

RATIOS = (0.001, 0.01, 0.1, 1.0)
# A tenth of the paper's example of a small ratio, and that example (Table 2).
SMALL = RATIOS[:2]
# Headings of the tables, by the columns of :func:`predicted` and of :func:`checked`.
OF_PREDICTED = {
    "ratio": "R_M",
    "entries": "entries, M",
    "dtype": "type of the entries",
    "design": "memory",
    "gb": "entries on each GPU, GB",
    "fits": "fits",
    "least": "GPUs that hold it sharded, at least",
    "passes": "passes over the memory",
    "product_ms": "products, ms",
    "exchange_ms": "exchange, ms",
    "traffic_mb": "sent by each GPU, MB",
    "times": "step, times that with no memory",
}
OF_CHECKED = {
    "entries": "entries, M",
    "dtype": "type of the entries",
    "design": "memory",
    "ranks": "processes",
    "ms": "step measured, ms",
    "predicted_ms": "step predicted, ms",
    "time": "step, measured / predicted",
    "sent": "bytes sent, measured / predicted",
    "load": "load average",
}
# The model counts as valid within this factor of the measurements; the estimates are varied by it.
OFF = 2.0
# Bounds beyond any machine, within which no product of the model overflows or vanishes.
Positive = Annotated[float, Field(ge=1e-6, le=1e9)]
Share = Annotated[float, Field(ge=1e-6, le=1)]
Count = Annotated[int, Field(ge=1, le=10**6)]


class Parameters(Checked):
    """The data set that the paper speaks of, and the GPUs that are assumed.

    Attributes:
        samples: N, training images.
        per_class: training images per class.
        dim: D.
        batch: anchors per GPU.
        ranks: R, number of GPUs.
        gpu_gb: memory of a GPU, in 1e9 bytes.
        share: share of it that holds entries.
        bf16_tflops: dense products in bfloat16, in 1e12 operations per second.
        fp32_tflops: the same in float32.
        efficiency: share of these rates, and of the bandwidths, that is reached.
        tb_per_second: bandwidth of a GPU's memory, in 1e12 bytes per second.
        link_gb_per_second: bandwidth of each GPU's link, one way, in 1e9 bytes per second.
        latency_us: microseconds per exchange.
        tile_us: microseconds of launching and synchronising, per tile of the memory.
        step_ms: milliseconds of a training step with no memory.
    """

    notebook: ClassVar[str] = "scaling"
    profile: ClassVar[Literal["benchmarks"]] = "benchmarks"

    samples: Annotated[int, Field(ge=1, le=10**13)] = 1_000_000_000
    per_class: Count = 5
    dim: Count = 512
    batch: Count = 64
    ranks: Count = 8
    gpu_gb: Positive = 80.0
    share: Share = 0.5
    bf16_tflops: Positive = 989.0
    fp32_tflops: Positive = 67.0
    efficiency: Share = 0.6
    tb_per_second: Positive = 3.35
    link_gb_per_second: Positive = 50.0
    latency_us: Positive = 30.0
    tile_us: Annotated[float, Field(ge=0, le=1e9)] = 80.0
    step_ms: Positive = 25.0


def predicted(parameters: Parameters) -> pd.DataFrame:
    """The predicted cost of several R_M on the assumed GPUs.

    The share of valid negatives in all pairs is the paper's on SOP: 1,000 per iteration (Fig. 4).

    Returns:
        ratio, entries, dtype, design, gpus, gb (entries on each GPU), fits, least (number of GPUs
        that can hold the sharded memory), passes, product_ms, exchange_ms, traffic_mb (sent by each
        GPU), times (time of a step with memory as a multiple of one with no memory).
    """
    p = parameters
    sop = paper.PROTOCOLS["SOP"].train.images
    valid = paper.VALID_NEGATIVES_MEMORY.value / (64 * sop)
    room = p.share * p.gpu_gb * 1e9
    rows: list[dict[str, Any]] = []
    for ratio in RATIOS:
        entries = round(ratio * p.samples)
        for dtype, size in BYTES.items():
            tflops = p.bf16_tflops if dtype == "bfloat16" else p.fp32_tflops
            rates = Rates(
                p.efficiency * tflops * 1e12,
                p.efficiency * p.fp32_tflops * 1e12,
                p.efficiency * p.tb_per_second * 1e12,
                p.efficiency * p.link_gb_per_second * 1e9,
                p.latency_us / 1e6,
                p.tile_us / 1e6,
                candidates.GPU_SCALE,
            )
            for design in ("replicated", "sharded"):
                m = p.batch * p.ranks
                load = Load(
                    design,
                    p.ranks,
                    m,
                    p.dim,
                    entries,
                    size,
                    m * p.per_class * ratio,
                    min(entries, m * valid * entries),
                )
                found = cost(load, rates)
                held = entries * (p.dim * size + NAMES)
                on_each = held / p.ranks if design == "sharded" else held
                extra = 1e3 * (found.product + found.exchange)
                rows.append(
                    {"ratio": ratio, "entries": entries, "dtype": dtype, "design": design,
                     "gpus": p.ranks, "gb": on_each / 1e9, "fits": on_each <= room,
                     "least": -int(-held // room), "passes": found.passes,
                     "product_ms": 1e3 * found.product, "exchange_ms": 1e3 * found.exchange,
                     "traffic_mb": found.traffic / p.ranks / 1e6,
                     "times": 1 + extra / p.step_ms}
                )  # fmt: skip
    return pd.DataFrame(rows)


def menus(parameters: Parameters) -> dict[str, list[tuple[str, int]]]:
    """Values of N, D and the number of GPUs to choose from, those of the parameters first.

    Returns:
        What :func:`xbmlib.study.widgets.explore` takes: name to pairs of a label and a value.
    """
    p = parameters
    values = {
        "N": (p.samples, 10**6, 10**7, 10**8, 10**10),
        "D": (p.dim, 64, 128, 2048),
        "GPUs": (p.ranks, 1, 64, 512),
    }
    return {
        name: [(f"{value:,}", value) for value in dict.fromkeys(found)]
        for name, found in values.items()
    }


def predicted_at(parameters: Parameters, samples: int, dim: int, ranks: int) -> pd.DataFrame:
    """:func:`predicted` for N images, D and a number of GPUs, all else as in the parameters."""
    changed = {"samples": samples, "dim": dim, "ranks": ranks}
    return predicted(parameters.model_copy(update=changed))


def checked() -> pd.DataFrame:
    """The predictions of the model and the measurements.

    Returns:
        design, ranks, dtype, entries, ms and predicted_ms, time (measured / predicted), traffic
        and predicted_traffic (bytes per step), sent (measured / predicted; NaN for one process),
        load (load average of the machine when the measurement began), machine.
    """
    rows = []
    for row in benchmarks.measured_twice("scaling").itertuples():
        rates = Rates(
            getattr(row, f"flops_{row.dtype}"),
            row.flops_float32,
            row.bandwidth,
            row.link,
            row.latency,
            row.tile,
            row.larger,
        )
        load = Load(
            row.design, row.ranks, row.m, row.D, row.M, BYTES[row.dtype], row.matched, row.near
        )
        found = cost(load, rates)
        ms = 1e3 * (found.product + found.exchange)
        rows.append(
            {"design": row.design, "ranks": row.ranks, "dtype": row.dtype, "entries": row.M,
             "ms": row.ms, "predicted_ms": ms, "time": row.ms / ms,
             "traffic": row.traffic, "predicted_traffic": found.traffic,
             "sent": row.traffic / found.traffic if found.traffic else float("nan"),
             "load": row.load, "machine": row.machine}
        )  # fmt: skip
    return pd.DataFrame(rows)


def by_machine(check: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of :func:`checked` of each machine."""
    return {str(machine): rows for machine, rows in check.groupby("machine", sort=False)}


def reached(parameters: Parameters) -> pd.DataFrame:
    """The rates that the notebook assumes of a GPU, and those measured on one.

    Returns:
        what, assumed (times the efficiency), measured (results/scaling_gpu.csv), machine.
    """
    p, row = parameters, measured("scaling_gpu").iloc[0]
    # With 64 anchors the product is bound by reading the entries.
    bf16 = min(p.bf16_tflops, p.tb_per_second * row["m"])
    rows = [
        ("products in float32, TFLOP/s", p.efficiency * p.fp32_tflops, row["flops_float32"] / 1e12),
        ("products in bfloat16, TFLOP/s", p.efficiency * bf16, row["flops_bfloat16"] / 1e12),
        ("reading, TB/s", p.efficiency * p.tb_per_second, row["bandwidth"] / 1e12),
        ("a tile in addition to its arithmetic, µs", p.tile_us, row["tile"] * 1e6),
    ]
    data = pd.DataFrame(rows, columns=["what", "assumed", "measured"])
    return data.assign(machine=row["machine"])


def bounds(parameters: Parameters) -> tuple[pd.DataFrame, pd.DataFrame]:
    """:func:`predicted` with every estimate that has no source better, and worse, by OFF.

    These are the efficiency, the latency, the time of a tile and that of a step with no memory; the
    longer that step, the better.
    """
    p = parameters
    found = []
    for factor in (OFF, 1 / OFF):
        changed = {
            "efficiency": min(1.0, p.efficiency * factor),
            "latency_us": p.latency_us / factor,
            "tile_us": p.tile_us / factor,
            "step_ms": p.step_ms * factor,
        }
        found.append(predicted(p.model_copy(update=changed)))
    return found[0], found[1]


def verdicts(check: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    """The last sentence of Section 4.3, "Memory and Computational Cost", and a smaller memory.

    Args:
        check: as returned by :func:`checked`.
        parameters: parameters of the notebook.
    """
    p = parameters
    frames = [predicted(p), *bounds(p)]
    sent = check["sent"]

    def tested(ratio: float) -> tuple[bool, str]:
        """Whether the model is close to what was measured at such a size, and the data."""
        time = _near(check, round(ratio * p.samples))["time"]
        return (
            bool(pd.concat([time, sent.dropna()]).between(1 / OFF, OFF).all()),
            f"a cost model, {p.ranks} GPUs as assumed in the notebook, batch {p.batch} on each, "
            f"D = {p.dim}; measured / predicted here: time {time.min():.2f} to {time.max():.2f}, "
            f"traffic {sent.min():.2f} to {sent.max():.2f}; {', '.join(check['machine'].unique())}",
        )

    smaller, example = (_extra(frames, ratio, p) for ratio in SMALL)
    (close_smaller, of_smaller), (close_example, of_example) = map(tested, SMALL)
    most = paper.EXTRA_TIME.value
    return [
        judged(
            paper.claims.SCALES,
            {"time, percent": example[0]} if close_example else {},
            names={},
            unit="",
            detail=example[1],
            data=of_example,
        ),
        Verdict(
            claim=f"A memory of R_M = {SMALL[0]:g}, a tenth of the paper's example, for "
            f"{p.samples:,} images adds at most {most:g}% to the time of a step.",
            paper="no figure stated",
            ours=f"{smaller[0].min():.1f} to {smaller[0].max():.1f}%; {smaller[1]}"
            + f"; not judged: the model is off by a factor of more than {OFF:g}"
            * (not close_smaller),
            rule=f"extra time of at most {most:g}%, at both ends of the model's error",
            outcome=judge(smaller[0] <= most) if close_smaller else "not testable here",
            data=of_smaller,
            seeds=1,
        ),
    ]


def _extra(
    frames: list[pd.DataFrame], ratio: float, parameters: Parameters
) -> tuple[pd.Series, str]:
    """Extra time of a step in percent, at both ends of the model's error, and the best design."""
    best = [f[(f["ratio"] == ratio) & f["fits"]].nsmallest(1, "times") for f in frames]
    entries = f"M = {ratio * parameters.samples:,.0f}"
    if not all(len(found) for found in best):
        return pd.Series([float("inf")]), f"no memory of {entries} fits"
    _, low, high = (100 * (float(found["times"].iloc[0]) - 1) for found in best)
    row = best[0].iloc[0]
    words = f"{entries}, {row['design']}, {row['dtype']}, {row['gb']:.3g} GB on each GPU"
    return pd.Series([low, high]), words


def comparison(check: pd.DataFrame, parameters: Parameters) -> list[Quantity]:
    """Predicted extra time of a step at each R_M, and the model's error; the paper prints none."""
    best = _quickest(parameters)
    of = f"N = {parameters.samples:,}, {parameters.ranks} GPUs, the quickest design that fits"
    rows = [
        Quantity(of, f"extra time of a step at R_M = {ratio:g}, %",
                 100 * (best.loc[best["ratio"] == ratio, "times"] - 1))
        for ratio in RATIOS
    ]  # fmt: skip
    return rows + [
        Quantity(str(machine), "measured / predicted time of a step, largest memory, mean",
                 pd.Series([part["time"].mean()]), digits=2)
        for machine, part in _largest(check).groupby("machine", sort=False)
    ]  # fmt: skip


def closing(check: pd.DataFrame, parameters: Parameters) -> str:
    """What came out, and why, in words."""
    best = _quickest(parameters)
    parts = [
        f"{100 * (row.times - 1):,.1f}% at R_M = {row.ratio:g} ({row.design}, {row.dtype}, "
        f"{row.gb:.3g} GB on each GPU: {row.product_ms:,.2f} ms of products, "
        f"{row.exchange_ms:,.2f} ms of exchange)"
        for row in best.itertuples()
    ]
    lost = [f"{ratio:g}" for ratio in RATIOS if ratio not in set(best["ratio"])]
    largest = _largest(check)["time"]
    return (
        f"With {parameters.samples:,} images on {parameters.ranks} GPUs, a step is predicted to "
        f"take longer by {listed(parts) if parts else 'an unknown time, since no memory fits'}."
        + (f" No memory of R_M = {listed(lost)} fits." if parts and lost else "")
        + " The time grows with the entries that each GPU compares, which more GPUs divide. At the "
        f"largest memory of each machine, a measured step takes {largest.min():.2f} to "
        f"{largest.max():.2f} times what the model predicts; the exchange among many GPUs is "
        "assumed, and no training of that size was run, here or in the paper."
    )


def _quickest(parameters: Parameters) -> pd.DataFrame:
    """The row of :func:`predicted` of the quickest design that fits, at each R_M that has one."""
    found = predicted(parameters)
    return found[found["fits"]].sort_values("times").drop_duplicates("ratio").sort_values("ratio")


def _largest(check: pd.DataFrame) -> pd.DataFrame:
    """The measurements of the largest memory of each machine."""
    return check[check["entries"] == check.groupby("machine")["entries"].transform("max")]


def _near(check: pd.DataFrame, entries: int) -> pd.DataFrame:
    """The measurements of each machine at the sizes next to a number of entries, on both sides."""
    sizes = check.groupby("machine")["entries"]
    below = check["entries"].where(check["entries"] <= entries).groupby(check["machine"])
    above = check["entries"].where(check["entries"] >= entries).groupby(check["machine"])
    ends = (below.transform("max"), above.transform("min"))
    # Where nothing so large, or so small, was measured, the largest or the smallest stands for it.
    ends = (ends[0].fillna(sizes.transform("min")), ends[1].fillna(sizes.transform("max")))
    return check[check["entries"].eq(ends[0]) | check["entries"].eq(ends[1])]
