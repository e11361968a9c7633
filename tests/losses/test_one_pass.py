"""Tests of the one pass over a memory: on a GPU, or else in Triton's interpreter, on few entries.

What the kernels compute is compared with the loops over pairs in float64, where the entries are
those that the memory holds once they are rounded.
"""

import os
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

from tests.losses.oracle import (
    AXES,
    HALF,
    SETTINGS,
    brute_batch,
    case,
    owners,
    value_and_gradient,
)
from xbmlib.losses import ContrastiveLoss, MultiSimilarityLoss, PairLoss, TripletLoss, Weighting
from xbmlib.losses.stream import Stream, Summary
from xbmlib.queue import CrossBatchMemory

triton = pytest.importorskip("triton")
# The interpreter looks for this name beside the functions below.
tl = pytest.importorskip("triton.language")
from xbmlib.losses import kernels, one_pass  # noqa: E402  (they need Triton)

ON = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(autouse=True)
def few_programs(monkeypatch):
    """Tiles of which these memories take several, the last of them cut; each program is slow."""
    monkeypatch.setattr(one_pass, "TILE_ENTRIES", 16)
    monkeypatch.setattr(one_pass, "SHARES", 2)


def streamed(kind, settings, anchors, labels, memory, memory_labels, **named):
    """Value, gradient and valid pairs by the one pass, on the CPU afterwards."""
    loss = kind(**settings, method="one_pass")
    tensors = [x.to(ON) for x in (anchors, labels, memory, memory_labels)]
    named = {k: v if v is None else v.to(ON) for k, v in named.items() if k != "shadow"} | {
        k: tuple(x.to(ON) for x in v) for k, v in named.items() if k == "shadow"
    }
    return [x.cpu() for x in value_and_gradient(loss, *tensors, **named)]


def check(kind, settings, anchors, labels, memory, memory_labels, own=None, **named):
    """Compare with the loops: value, gradient, and which pairs are valid."""
    m = len(anchors)
    total, _, weights, signs, grad = brute_batch(
        kind, settings, anchors, labels, memory, memory_labels, own
    )
    value, gradient, negatives, positives = streamed(
        kind, settings, anchors, labels, memory, memory_labels, own=own, **named
    )
    assert value.item() == pytest.approx(total / m, rel=1e-5, abs=1e-5)
    torch.testing.assert_close(gradient.double(), grad / m, rtol=1e-4, atol=1e-5)
    assert negatives.tolist() == ((weights > 0) & (signs > 0)).sum(1).tolist()
    assert positives.tolist() == ((weights > 0) & (signs < 0)).sum(1).tolist()


@pytest.mark.parametrize(
    ("kind", "settings", "entries"),
    [
        *((*setting, "float32") for setting in SETTINGS),
        *((*SETTINGS[1], entries) for entries in ("bfloat16", "float16", "shadow")),
    ],
)
def test_by_the_loops(kind, settings, entries):
    """Oracle: the loops over pairs in float64; own entries named for some of the anchors."""
    shadow = entries == "shadow"
    anchors, labels, memory, memory_labels, own = case(m=9, size=36, dim=6)
    anchors = anchors.float()
    memory = memory.to(torch.float32 if shadow else getattr(torch, entries))
    named = {"shadow": (memory.bfloat16(), torch.tensor(1.0))} if shadow else {}
    check(kind, settings, anchors, labels, memory, memory_labels, owners("some", own), **named)


def test_more_anchors_and_dimensions_than_a_tile():
    """Oracle: the loops; 67 anchors and 70 dimensions, of tiles of 64, and entries of any norm."""
    anchors, labels, memory, memory_labels, own = case(m=67, size=68, dim=70, classes=9)
    memory *= torch.linspace(0.5, 3, 68)[:, None]
    arguments = anchors.float(), labels, memory.float(), memory_labels, own
    check(TripletLoss, {"eta": 0.7}, *arguments)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_pairs_that_rounding_puts_on_the_wrong_side(dtype):
    """Oracle: the sign of S - λ in float64, next to λ: the screen is rough, the decision is not."""
    generator = torch.Generator().manual_seed(0)
    anchors, memory = (F.normalize(torch.randn(n, 8, generator=generator)) for n in (1, 40))
    memory = memory.to(dtype)
    exact = (anchors.double() @ memory.double().T)[0]
    labels, others = torch.zeros(1, dtype=torch.int64), torch.ones(40, dtype=torch.int64)
    # λ lies a little above one of the similarities, or below.
    for step in (-2e-6, 2e-6):
        lam = float(exact[7]) + step
        *_, negatives, _ = streamed(ContrastiveLoss, {"lam": lam}, anchors, labels, memory, others)
        assert negatives.tolist() == [int((exact > lam).sum())]


def test_ties():
    """Oracle: the definitions, which are strict: a similarity of λ, or at η, is not valid."""
    memory = torch.cat([HALF, AXES, AXES[:1]])
    labels = torch.tensor([1, 0, 2, 3, 4, 5])
    *_, negatives, positives = streamed(
        ContrastiveLoss, {"lam": 0.5}, AXES[:2], torch.tensor([0, 2]), memory, labels
    )
    assert (negatives.tolist(), positives.tolist()) == ([1, 0], [1, 1])
    # The positive's 1 is not below 0.5 + 0.5; it is below 1 + 0.5.
    *_, negatives, positives = streamed(
        TripletLoss, {"eta": 0.5}, AXES[:2], torch.tensor([0, 2]), memory, labels
    )
    assert (negatives.tolist(), positives.tolist()) == ([1, 0], [1, 0])


@pytest.mark.parametrize(("kind", "settings"), SETTINGS[::2])
@pytest.mark.parametrize("where", ["anchors", "entries"])
def test_nan_is_not_hidden(kind, settings, where):
    """Oracle: arithmetic. A diverged model's NaN reaches the loss, where training looks for it."""
    anchors, labels, memory, memory_labels, own = case(m=3, size=20, dtype=torch.float32)
    negative = int((memory_labels != labels[0]).nonzero()[0])
    given, row = (anchors, 0) if where == "anchors" else (memory, negative)
    given[row] = torch.nan
    assert streamed(kind, settings, anchors, labels, memory, memory_labels, own=own)[0].isnan()


@pytest.mark.parametrize(("kind", "settings"), SETTINGS[::2])
@pytest.mark.parametrize(
    "pick",
    [
        lambda v, y, w, z: (v, y, w[:0], z[:0]),
        lambda v, y, w, z: (v[:0], y[:0], w, z),
        lambda v, y, w, z: (AXES[:1], y[:1], -AXES[:1].expand(5, 4), y[:1].expand(5) + 1),
        lambda v, y, w, z: (v, y, v[:1].expand(1, -1), y[:1] + 100),
    ],
    ids=["empty memory", "no anchor", "far negatives", "one entry"],
)
def test_few_or_no_pairs(kind, settings, pick):
    """Oracle: the search, which is tested by the loops."""
    anchors, labels, memory, others, _ = case(m=3, size=20, dtype=torch.float32)
    arguments = pick(anchors, labels, memory, others)
    named = settings | {"reduction": "mean"}
    wanted = value_and_gradient(kind(**named), *arguments)
    for got, due in zip(streamed(kind, named, *arguments), wanted, strict=True):
        torch.testing.assert_close(got, due)


@pytest.mark.parametrize(("kind", "settings"), SETTINGS[::2])
@pytest.mark.parametrize("classes", [1, 40], ids=["one class", "each class once"])
def test_one_kind_of_pairs(kind, settings, classes):
    """Oracle: the loops."""
    anchors, _, memory, *_ = case(m=3, dtype=torch.float32)
    others = torch.arange(40) % classes
    check(kind, settings, anchors, others[:3], memory, others)


def test_more_positives_than_there_is_room_for(monkeypatch):
    """Oracle: NaN, in place of a value that leaves some out; at the limit, the loops."""
    anchors, labels, memory, memory_labels, own = case(m=3, dtype=torch.float32)
    count = int(torch.isin(memory_labels, labels).sum())
    arguments = TripletLoss, {}, anchors, labels, memory, memory_labels
    monkeypatch.setattr(one_pass, "ROOM_PER_ANCHOR", 1)
    monkeypatch.setattr(one_pass, "ROOM", count)
    check(TripletLoss, {"eta": 0.1}, *arguments[2:], own)
    monkeypatch.setattr(one_pass, "ROOM", count - 1)
    value, gradient, *_ = streamed(*arguments, own=own)
    assert value.isnan() and gradient.isnan().all()


def test_the_queue_and_a_compiled_graph():
    """Oracle: the search, step by step; the same bits at each repetition."""
    torch._dynamo.reset()
    losses = [TripletLoss(method=method) for method in ("one_pass", "search")]
    memories = [CrossBatchMemory(20, 6, shadow=True, device=ON) for _ in losses]
    graph = torch.compile(losses[0], backend="eager", fullgraph=True)
    for seed in range(2):
        v, labels, *_ = (x.to(ON) for x in case(m=8, seed=seed, dtype=torch.float32))
        own, _ = (memory.enqueue(v, labels) for memory in memories)
        found = []
        calls = (graph, losses[0], losses[1])
        for loss, memory in zip(calls, (memories[0], *memories), strict=True):
            z = v.clone().requires_grad_()
            value = loss(z, labels, memory, own=own)
            value.backward()
            found.append((value.detach(), z.grad))
        assert all(torch.equal(a, b) for a, b in zip(found[0], found[1], strict=True))
        torch.testing.assert_close(found[0], found[2])
    torch._dynamo.reset()


@triton.jit
def squared(s, a, b):
    return a * s * s


@triton.jit
def identity(s, a, b):
    return s


class Squared(PairLoss):
    """A custom loss: S²/2 of each negative above 0.2, nothing of the positives."""

    def weigh(self, positives, negatives):
        """The weights are S."""
        s = negatives.where(negatives > 0.2, 0)
        return Weighting(s.square().sum(1) / 2, 0 * positives.isinf(), s, (s > 0).sum(1))

    def bound(self, positives):
        """0.2."""
        return positives.new_full((len(positives),), 0.2)

    def stream(self):
        """S alone, by two functions of the test's own."""
        return Stream("similarity", 0.5, term=squared, weight=identity)

    def summarise(self, positives, negatives):
        """Nothing to add."""
        none = torch.zeros_like(negatives.total)
        return Summary(negatives.total, torch.zeros_like(positives), none, negatives.valid)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_a_custom_loss(reduction):
    """Oracle: the search with the same loss's `weigh`."""
    anchors, labels, memory, memory_labels, own = case(m=5, dtype=torch.float32)
    rest = labels, memory, memory_labels
    wanted = value_and_gradient(Squared(reduction), anchors, *rest, own=own)
    assert wanted[2].sum() > 5
    got = streamed(Squared, {"reduction": reduction}, anchors, *rest, own=own)
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b)


def test_what_it_does_not_take(monkeypatch):
    """Oracle: one error each, which names what else to do."""
    anchors, labels, memory, memory_labels, _ = case(m=3)
    with pytest.raises(ValueError, match="anchors of float64"):
        streamed(ContrastiveLoss, {}, anchors, labels, memory, memory_labels)
    with pytest.raises(ValueError, match="memory of float64"):
        streamed(ContrastiveLoss, {}, anchors.float(), labels, memory, memory_labels)
    with pytest.raises(ValueError, match='method=\'kernel\': use "search" or "one_pass"'):
        MultiSimilarityLoss(method="kernel")
    with pytest.raises(ValueError, match="PairLoss declares no stream"):
        rest = labels, memory.float(), memory_labels
        PairLoss(method="one_pass")(anchors.float(), *rest)
    if ON == "cpu":
        monkeypatch.setattr(kernels, "INTERPRETED", False)
        with pytest.raises(ValueError, match="anchors on cpu: method='one_pass' is for a GPU"):
            ContrastiveLoss(method="one_pass")(anchors.float(), *rest)


COMPILE = """
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from xbmlib.losses import kernels

TYPES = {"labels": "*i64", "entry_labels": "*i64", "flags": "*i8", "ranks": "*i32",
         "columns": "*i32", "count": "*i32", "valid": "*i32", "below": "*i32",
         "m": "i32", "M": "i32", "R": "i32", "capacity": "i32", "a": "fp32", "b": "fp32"}
SIZES = {"BLOCK_M": 16, "BLOCK_N": 16, "BLOCK_D": 16, "D": 40, "STEPS": 11, "SHARES": 4,
         "WIDEN": False, "TERM": kernels.similarity, "WEIGHT": kernels.one}


def check(kernel, entries, **chosen):
    fixed = {n: v for n, v in (SIZES | chosen).items() if n in kernel.arg_names}
    types = TYPES | {"entries": entries}
    signature = {n: "constexpr" if n in fixed else types.get(n, "*fp32") for n in kernel.arg_names}
    source = ASTSource(fn=kernel, signature=signature, constexprs=fixed)
    assert compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]
    print(kernel.__name__, *chosen.values())


check(kernels.find_labels, "*fp32")
check(kernels.compact, "*fp32")
for half, entries in ((False, "*fp32"), (True, "*bf16")):
    check(kernels.screen, entries, HALF=half)
for needs in ("similarity", "log_sum", "ranks"):
    check(kernels.statistics, "*fp32", NEEDS=needs)
    check(kernels.gradient, "*bf16", NEEDS=needs)
"""


@pytest.mark.slow
def test_the_kernels_compile_for_a_gpu_that_is_not_here(tmp_path):
    """Oracle: Triton's compiler and NVIDIA's assembler, for an H100."""
    pytest.importorskip("triton.backends.nvidia")
    variables = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], capture_output=True, text=True,
        env=variables | {"TRITON_CACHE_DIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 10
