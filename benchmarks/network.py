"""Whether a training step of the bundled study could be quicker, and the rate of its convolutions.

Other layouts and types of numbers; graph compilation, which fuses batch normalisation and copies
with what stands beside them; a fused optimiser; then the convolutions beside a bare product in
bfloat16. One thread, as in the study.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import Row, against, faster, medians, row, timings
from benchmarks.training import settings, trainer
from xbmlib import backbones, bfloat16
from xbmlib.training.trainer import Trainer

BATCH = 64
# Layouts of the network and whether it computes in bfloat16; the first is the study's.
LAYOUTS = {
    "channels-last, bf16": (torch.channels_last, True),
    "contiguous, bf16": (torch.contiguous_format, True),
    "channels-last, fp32": (torch.channels_last, False),
}
# Times quicker that a step would have to be, and why no other form of it is.
QUICKER = 1.3
NO_GAIN = (
    "a form that was tried and is not that much quicker; every form computes the convolutions, "
    "which take most of the step"
)
# Rows and columns of the matrices whose product is the core's rate.
PRODUCT = 2048


def layouts(batch: int = BATCH, rounds: int = 15) -> Iterator[Row]:
    """Forward and backward of the compact network as it is trained, and in other layouts.

    A ratio at or below 1 says that the layout is no faster.
    """
    x = torch.rand(batch, 1, 32, 32)
    calls = {name: passes(x, *layout) for name, layout in LAYOUTS.items()}
    t = medians(rounds, **calls)
    base, *others = LAYOUTS
    for name in others:
        yield faster(f"forward and backward, batch {batch}, {name}", base, t[name], t[base],
                     QUICKER, NO_GAIN)  # fmt: skip


def passes(x: Tensor, layout: torch.memory_format, half: bool) -> Callable[[], None]:
    """Forward and backward of the compact network on images x.

    Args:
        x: (B, 1, 32, 32) in [0, 1].
        layout: of weights and images.
        half: whether to compute in bfloat16.
    """
    net = backbones.build("compact", 128).to(memory_format=layout)
    images = x.contiguous(memory_format=layout)

    def call() -> None:
        net.zero_grad()
        with bfloat16.autocast(x.device, half):
            v = net(images)
        v.sum().backward()

    return call


def step(run: Trainer) -> Callable[[], object]:
    """A training step of a run, on the same batch each time."""
    batch = next(run.batches())
    run.model.train()
    return lambda: run.update(*batch)


def steps(rounds: int = 25) -> Iterator[Row]:
    """A whole training step with no memory: as trained, compiled, and by an Adam that is not fused.

    Compiling needs a C++ compiler, and takes many minutes where :mod:`xbmlib.bfloat16` rounds by
    operators of its own: there its row is left out, and that is printed.
    """
    e = settings(BATCH)["none"]
    runs = {"trained": trainer(e), "unfused": trainer(e)}
    plain = torch.optim.Adam(runs["unfused"].model.parameters(), e.lr, weight_decay=e.weight_decay)
    runs["unfused"].optimiser = plain
    compiles = bfloat16.is_fast(torch.device("cpu")) and shutil.which(os.environ.get("CXX", "g++"))
    if compiles:
        runs["compiled"] = trainer(e)
        runs["compiled"].model = torch.compile(runs["compiled"].model)  # type: ignore[assignment]
    else:
        print("no C++ compiler ($CXX or g++) or no AVX-512: torch.compile is left out", flush=True)
    t = against("trained", timings(rounds, **{name: step(run) for name, run in runs.items()}))
    what = f"training step, batch {BATCH}, no memory"
    if "compiled" in t:
        yield faster(f"{what}, torch.compile(net)", "as trained: not compiled", t["compiled"],
                     t["trained"], QUICKER, NO_GAIN)  # fmt: skip
    yield faster(f"{what}, fused Adam, as trained", "Adam, not fused", t["trained"], t["unfused"],
                 QUICKER, NO_GAIN)  # fmt: skip


def operations(net: nn.Module, x: Tensor) -> int:
    """FLOP of the convolutions forward and backward, from shapes; a multiply-add is two."""
    with FlopCounterMode(display=False) as counter:
        net(x).sum().backward()
    counted = counter.get_flop_counts()["Global"]
    return sum(n for operator, n in counted.items() if "convolution" in str(operator))


def convolutions(rounds: int = 25) -> Iterator[Row]:
    """The rate of the convolutions of a training step on one core, and their share of the step."""
    run = trainer(settings(BATCH)["none"])
    update = step(run)
    update()
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(rounds):
            with record_function("step"):
                update()
    spent = {a.key: 1e-3 * a.cpu_time_total / rounds for a in found.key_averages()}
    ms = spent["aten::convolution"] + spent["aten::convolution_backward"]
    images = next(run.batches())[0]
    work = operations(run.model, torch.rand(images.shape))
    a = torch.rand(PRODUCT, PRODUCT, dtype=torch.bfloat16)
    product = medians(5, product=lambda: a @ a)["product"]
    what = f"convolutions, batch {BATCH}, forward and backward"
    yield row(f"{what}: rate on one core", f"bf16 product of {PRODUCT} × {PRODUCT}",
              1e-6 * work / ms, 2e-6 * PRODUCT**3 / product, unit="GFLOP/s")  # fmt: skip
    yield row(f"{what}: time", "the whole training step, no memory", ms, spent["step"])


def rows() -> Iterator[Row]:
    """All of them."""
    yield from layouts()
    yield from steps()
    yield from convolutions()
