"""Tests of a default device that is not that of the data: every result stays on the data's.

"meta" holds no numbers, so that whatever is made on it by mistake fails or differs.
"""

import copy

import pytest
import torch
import torch.distributed as dist
from pytorch_metric_learning.losses import CircleLoss
from torch import nn
from torch.nn.functional import normalize

from xbmlib import XBM, CrossBatchMemory, PKSampler, recall_at_k
from xbmlib.datasets import ImageSet, Retrieval
from xbmlib.datasets.transforms import random_resized_crop
from xbmlib.diagnose import health
from xbmlib.distributed import ShardedMemory
from xbmlib.drift import DriftProbe, gradient_errors
from xbmlib.losses import (
    ContrastiveLoss,
    MetricLearningLoss,
    MultiSimilarityLoss,
    TripletLoss,
)
from xbmlib.queue import initialise
from xbmlib.recall import map_at_r, neighbours, one_per_class, r_precision
from xbmlib.sampler import ShuffleSampler
from xbmlib.training.experiment import Experiment
from xbmlib.training.trainer import Trainer

LOSSES = (ContrastiveLoss, TripletLoss, MultiSimilarityLoss)
D = 8


def batch(m=16, seed=0):
    """Unit vectors and labels on the CPU, four of a class."""
    generator = torch.Generator("cpu").manual_seed(seed)
    v = torch.randn(m, D, generator=generator, device="cpu")
    return normalize(v), torch.arange(m, device="cpu") // 4


def queue(size=40, **named):
    """A memory on the CPU with three batches, and the slots of the last."""
    memory = CrossBatchMemory(size, D, device="cpu", **named)
    for seed in range(3):
        own = memory.enqueue(*batch(seed=seed), batch()[1])
    return memory, own


def of_loss(kind, memory_size=0, **named):
    """Value, gradient and valid pairs, within the batch or against a memory."""
    loss, (v, labels) = kind(), batch(seed=2)
    v.requires_grad_()
    memory, own = queue(memory_size, **named) if memory_size else (None, None)
    value = loss(v, labels, memory, own=own)
    value.backward()
    return value.detach(), v.grad, loss.valid


def of_weights():
    """The weights of a batch's pairs."""
    return ContrastiveLoss().weights(*batch())


def of_peer():
    """A peer's loss, within the batch and against a memory."""
    loss, (memory, own) = MetricLearningLoss(CircleLoss()), queue()
    return loss(*batch(seed=2)), loss(*batch(seed=2), memory, own=own)


def of_xbm():
    """Steps, a state, and the steps after it is loaded."""
    xbm = XBM(ContrastiveLoss(), size=40, dim=D, start=1, device="cpu", shadow=True)
    values = [xbm(*batch(seed=seed)).detach() for seed in range(3)]
    xbm.load_state_dict(copy.deepcopy(xbm.state_dict()))
    return values, xbm(*batch(seed=3)).detach(), xbm.state_dict()


def of_queue():
    """Everything that a memory shows, filled by hand and by :func:`initialise`."""
    memory, own = queue(shadow=True)
    sampled = CrossBatchMemory(10, D, device="cpu")
    initialise(sampled, lambda x: x, [(*batch(), None)])
    shown = memory.embeddings, memory.labels, memory.ids, memory.age, memory.shadow
    return own, shown, memory.state_dict(), sampled.state_dict()


def of_sharded():
    """A sharded memory of one rank: slots, states."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        memory = ShardedMemory(10, D, device="cpu")
        slots = memory.enqueue(*batch(7)), memory.enqueue(*batch(7))
        memory.load_gathered_state(memory.gathered_state())
        return slots, memory.state_dict(), memory.age, memory.local(slots[1])
    finally:
        dist.destroy_process_group()


def of_samplers():
    """The batches of both, labels in a tensor and in a list."""
    pk = [PKSampler(y, 2, 3, steps=4, seed=1) for y in (batch()[1], [0, 0, 1, 1, 2])]
    return [list(s) for s in (*pk, ShuffleSampler(10, 4, steps=6, seed=1))]


def of_recall():
    """Every measure."""
    v, labels = batch()
    measures = [f(v, labels) for f in (map_at_r, r_precision)]
    ks = [recall_at_k(v, labels, [1, 2]), one_per_class(v, labels, [1, 2])]
    return measures, ks, neighbours(v, 3), neighbours(v, 3, v)


def of_drift():
    """Drift, its gradient errors, and a diagnosis."""
    probe, net = DriftProbe([1], [2]), nn.Linear(D, 4, device="cpu")
    nn.init.constant_(net.weight, 0.3)
    nn.init.zeros_(net.bias)
    probe.record(1, batch()[0])
    memory, _ = queue()
    found = health(*batch(seed=2), memory, ids=batch()[1])
    return (
        probe.record(2, batch(seed=1)[0]),
        gradient_errors(net, batch()[0], batch(seed=1)[0][:, :4], {"net": net}),
        found,
    )


def of_crops():
    """Random crops."""
    images = torch.arange(4 * 3 * 64, device="cpu").view(4, 3, 8, 8).float()
    return random_resized_crop(images, 0.5, torch.Generator("cpu").manual_seed(3))


def of_a_run(folder, name):
    """A run that samples its memory, crops, and measures all that there is."""
    images = torch.arange(40 * 1024, device="cpu").reshape(40, 1, 32, 32).to(torch.uint8)
    part = ImageSet(images, torch.arange(40, device="cpu") // 4)
    data = Retrieval("mine", part, part, None, ks=(1,), fingerprint="example")
    measured = {"drift": (1,), "lemma": 2, "probes": 8, "mined": 2, "neighbours": 3}
    e = Experiment(data="mine", dim=D, ratio=1.0, batch=8, steps=3, start=1, init="sample",
                   weights=None, precision="fp32", log_every=1, **measured)  # fmt: skip
    Trainer(e, data, folder / f"{name}.pt").train(checkpoint_steps=2)
    resumed = Trainer(e, data, folder / f"{name}.pt")
    resumed.train()
    run = resumed.result("mine")
    frames = [str(frame) for frame in (run.metrics, run.drift, run.mined, run.neighbours)]
    return frames, run.recall, [p.detach() for p in resumed.model.parameters()]


def equal(a, b):
    """Refuse what differs in a value, a device or a type."""
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert a.device == b.device and a.dtype == b.dtype and torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        equal(list(a.values()), list(b.values()))
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            equal(x, y)
    else:
        assert a == b


def both(function, *arguments):
    """Compare a call with the same under another default device."""
    wanted = function(*arguments)
    with torch.device("meta"):
        found = function(*arguments)
    equal(found, wanted)


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize(
    "named",
    [
        {},
        {"memory_size": 40},
        {"memory_size": 40, "shadow": True},
        {"memory_size": 40, "dtype": torch.bfloat16},
    ],
    ids=["batch", "memory", "shadow", "bfloat16"],
)
def test_losses(kind, named):
    """Oracle: the same call without a default device."""
    both(lambda: of_loss(kind, **named))


@pytest.mark.parametrize(
    "function",
    [of_weights, of_peer, of_xbm, of_queue, of_sharded, of_samplers, of_recall, of_drift, of_crops],
    ids=lambda f: f.__name__,
)
def test_everything_else(function):
    """Oracle: the same call without a default device."""
    both(function)


def test_a_run(tmp_path):
    """Oracle: the same run, resumed too, without a default device."""
    wanted = of_a_run(tmp_path, "cpu")
    with torch.device("meta"):
        found = of_a_run(tmp_path, "meta")
    equal(found, wanted)
