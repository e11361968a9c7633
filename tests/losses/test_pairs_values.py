"""Tests of the pair-based losses against loops over pairs: values, gradients, dtypes, layouts."""

import pytest
import torch
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from tests.losses.oracle import (
    SETTINGS,
    brute_batch,
    case,
    each_loss,
    each_setting,
    owners,
    value_and_gradient,
)
from xbmlib.losses import MultiSimilarityLoss

LOW = (torch.bfloat16, torch.float16)


@each_setting
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("mode", ["all", "none", "-1", "some"])
@pytest.mark.parametrize("seed", range(2))
def test_against_memory(kind, settings, reduction, mode, seed):
    """Oracle: loops over pairs in float64 (Eq. 4, Eq. 5, Section 3.1): value, gradient, w_ij,
    valid pairs; "sum" over m, "mean" over the terms.
    """
    anchors, labels, memory, memory_labels, own = case(seed=seed)
    own = owners(mode, own)
    total, terms, weights, signs, grad = brute_batch(
        kind, settings, anchors, labels, memory, memory_labels, own
    )
    scale = terms if reduction == "mean" else len(anchors)
    assert terms not in (0, len(anchors)) or kind is MultiSimilarityLoss
    z = anchors.clone().requires_grad_()
    loss = kind(**settings, reduction=reduction)
    out = loss(z, labels, memory, memory_labels, own=own)
    out.backward()
    assert out.shape == () and out.item() == pytest.approx(total / scale, rel=1e-9)
    torch.testing.assert_close(z.grad, grad / scale)
    assert torch.equal(loss.valid.negatives, ((weights > 0) & (signs > 0)).sum(1))
    assert torch.equal(loss.valid.positives, ((weights > 0) & (signs < 0)).sum(1))
    found = loss.weights(anchors, labels, memory, memory_labels, own=own)
    torch.testing.assert_close(found, weights)
    assert not found.requires_grad


@each_setting
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("seed", range(2))
def test_within_batch(kind, settings, reduction, seed):
    """Oracle: the loops with the batch as its own memory (Eq. 1).

    Both sides of a pair are anchors, so v_j gets the gradient w_ij v_i too.
    """
    anchors, labels, *_ = case(seed=seed + 5)
    total, terms, weights, signs, grad = brute_batch(
        kind, settings, anchors, labels, anchors, labels, torch.arange(len(anchors))
    )
    scale = terms if reduction == "mean" else len(anchors)
    z = anchors.clone().requires_grad_()
    loss = kind(**settings, reduction=reduction)
    out = loss(z, labels)
    out.backward()
    assert out.item() == pytest.approx(total / scale, rel=1e-9)
    torch.testing.assert_close(z.grad, (grad + (signs * weights).T @ anchors) / scale)
    torch.testing.assert_close(loss.weights(anchors, labels), weights)
    assert torch.equal(loss.valid.negatives, ((weights > 0) & (signs > 0)).sum(1))
    assert torch.equal(loss.valid.positives, ((weights > 0) & (signs < 0)).sum(1))


@each_setting
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_gradient_is_the_losses_own(kind, settings, reduction):
    """Oracle: finite differences, within the batch and against a memory."""
    anchors, labels, memory, memory_labels, own = case(m=7, size=15, seed=3)
    loss = kind(**settings, reduction=reduction)
    z = anchors.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: loss(v, labels), z)
    assert torch.autograd.gradcheck(lambda v: loss(v, labels, memory, memory_labels, own=own), z)


@profile(max_examples=100, deadline=None)
@given(
    chosen=st.sampled_from(SETTINGS),
    m=st.integers(1, 9),
    size=st.integers(0, 25),
    dim=st.integers(1, 5),
    classes=st.integers(1, 5),
    seed=st.integers(0, 10_000),
    reduction=st.sampled_from(["sum", "mean"]),
    data=st.data(),
)
def test_any_shape_against_memory(chosen, m, size, dim, classes, seed, reduction, data):
    """Oracle: the loops, for any sizes, own entries or none, duplicates included."""
    kind, settings = chosen
    anchors, labels, memory, memory_labels, _ = case(m, max(size, m), dim, classes, seed)
    memory, memory_labels = memory[:size], memory_labels[:size]
    if size > 1:
        memory[0] = memory[1]
    # An own entry has its anchor's label, as whatever enqueues sees to.
    candidates = [
        [-1, *(j for j in range(size) if memory_labels[j] == labels[i])] for i in range(m)
    ]
    own = torch.tensor([data.draw(st.sampled_from(c)) for c in candidates])
    total, terms, weights, _, grad = brute_batch(
        kind, settings, anchors, labels, memory, memory_labels, own
    )
    scale = max(terms, 1) if reduction == "mean" else m
    z = anchors.clone().requires_grad_()
    loss = kind(**settings, reduction=reduction)
    out = loss(z, labels, memory, memory_labels, own=own)
    out.backward()
    assert out.item() == pytest.approx(total / scale, rel=1e-7, abs=1e-12)
    torch.testing.assert_close(z.grad, grad / scale, atol=1e-9, rtol=1e-7)
    assert int(sum(loss.valid).sum()) == int((weights > 0).sum())
    if not terms:
        assert out.item() == 0 and not z.grad.any()


@profile(max_examples=60, deadline=None)
@given(
    chosen=st.sampled_from(SETTINGS),
    m=st.integers(1, 14),
    classes=st.integers(1, 6),
    seed=st.integers(0, 10_000),
)
def test_any_shape_within_batch(chosen, m, classes, seed):
    """Oracle: the loops with both sides' gradient, for any sizes, one class included."""
    kind, settings = chosen
    anchors, labels, *_ = case(m, m, 3, classes, seed)
    total, _, weights, signs, grad = brute_batch(
        kind, settings, anchors, labels, anchors, labels, torch.arange(m)
    )
    z = anchors.clone().requires_grad_()
    out = kind(**settings)(z, labels)
    out.backward()
    assert out.item() == pytest.approx(total / m, rel=1e-7, abs=1e-12)
    both = (grad + (signs * weights).T @ anchors) / m
    torch.testing.assert_close(z.grad, both, atol=1e-9, rtol=1e-7)


@each_loss
def test_defaults_are_the_released_ones(kind, settings):
    """Oracle: λ = 0.5, η = 0.1, α = 2, β = 40, ε = 0.1, sums over m: the released code."""
    anchors, labels, *_ = case()
    assert kind()(anchors, labels) == kind(**settings, reduction="sum")(anchors, labels)
    for name, value in settings.items():
        assert getattr(kind(), name) == value


@each_loss
@pytest.mark.parametrize("low", LOW, ids=str)
@pytest.mark.parametrize("autocast", [False, True], ids=["", "autocast"])
def test_low_precision(kind, settings, low, autocast):
    """Oracle: the float64 loops on the rounded values, against the memory and within the batch.

    Only the gradient comes back rounded, in the anchors' dtype.
    """
    anchors, labels, memory, memory_labels, own = case(dtype=low)
    itself = torch.arange(len(anchors))
    for refs, ref_labels, mine, rest in (
        (memory, memory_labels, own, {"own": own}),
        (anchors, labels, itself, {}),
    ):
        total, _, weights, signs, grad = brute_batch(
            kind, settings, anchors, labels, refs, ref_labels, mine
        )
        given = (labels, refs, ref_labels) if rest else (labels,)
        if not rest:
            grad = grad + (signs * weights).T @ anchors.double()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = kind(**settings)
            out, found, *_ = value_and_gradient(loss, anchors, *given, **rest)
        assert found.dtype == low and out.dtype == torch.float32
        assert out.item() == pytest.approx(total / len(anchors), rel=1e-5)
        error = (found.double() - grad / len(anchors)).norm()
        assert error < 0.005 * grad.norm() / len(anchors)
        assert int(sum(loss.valid).sum()) == int((weights > 0).sum())


@each_setting
@pytest.mark.parametrize("stored", [*LOW, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_memory_of_another_dtype(kind, settings, stored, dtype):
    """Oracle: the float64 loops on what is stored; the gradient is the anchors' dtype's."""
    anchors, labels, memory, memory_labels, own = case(seed=1)
    anchors, memory = anchors.to(dtype), memory.to(stored)
    total, _, _, _, grad = brute_batch(kind, settings, anchors, labels, memory, memory_labels, own)
    out, found, *_ = value_and_gradient(
        kind(**settings), anchors, labels, memory, memory_labels, own=own
    )
    assert out.item() == pytest.approx(total / len(anchors), rel=1e-5)
    torch.testing.assert_close(found, (grad / len(anchors)).to(dtype), atol=1e-5, rtol=1e-4)


@each_setting
def test_autocast_changes_nothing(kind, settings):
    """Oracle: the same call without it, to the last bit, value, gradient and weights."""
    anchors, labels, *rest, own = case(dtype=torch.float32)
    for arguments in ((labels,), (labels, *rest)):
        named = {"own": own} if len(arguments) > 1 else {}
        plain = value_and_gradient(kind(**settings), anchors, *arguments, **named)
        with torch.autocast("cpu", torch.bfloat16):
            cast = value_and_gradient(kind(**settings), anchors, *arguments, **named)
        for got, wanted in zip(cast, plain, strict=True):
            assert got.dtype == wanted.dtype and torch.equal(got, wanted)


@each_setting
def test_non_contiguous(kind, settings):
    """Oracle: the same values laid out side by side."""
    anchors, *given, own = case()

    def strided(t):
        """Every second row of something wider, its columns apart."""
        wide = torch.zeros(2 * len(t), *(2 * n for n in t.shape[1:]), dtype=t.dtype)
        out = wide[::2, ::2] if t.ndim == 2 else wide[::2]
        out.copy_(t)
        assert not out.is_contiguous()
        return out

    for rest, named in ((given[:1], {}), (given, {"own": own})):
        wanted = value_and_gradient(kind(**settings), anchors, *rest, **named)
        z, loss = anchors.clone().requires_grad_(), kind(**settings)
        apart = {name: strided(t) for name, t in named.items()}
        out = loss(strided(z), *(strided(t) for t in rest), **apart)
        out.backward()
        for got, w in zip((out.detach(), z.grad, *loss.valid), wanted, strict=True):
            torch.testing.assert_close(got, w)
