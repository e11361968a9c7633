"""Tests of the losses against loops over pairs and finite differences.

The loops below are the oracle of the other ``test_losses_*`` modules too.
"""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from torch.nn import functional as F

from xbmlib.losses import ContrastiveLoss, MultiSimilarityLoss, TripletLoss

# The released code's values first, then others: no value may be built in.
SETTINGS = (
    (ContrastiveLoss, {"lam": 0.5}),
    (ContrastiveLoss, {"lam": -0.2}),
    (TripletLoss, {"eta": 0.1}),
    (TripletLoss, {"eta": 0.7}),
    (MultiSimilarityLoss, {"alpha": 2.0, "beta": 40.0, "lam": 0.5, "epsilon": 0.1}),
    (MultiSimilarityLoss, {"alpha": 7.0, "beta": 3.0, "lam": -0.3, "epsilon": 0.4}),
)
each_setting = pytest.mark.parametrize(
    ("kind", "settings"), SETTINGS, ids=lambda v: v.__name__ if isinstance(v, type) else None
)
each_loss = pytest.mark.parametrize(("kind", "settings"), SETTINGS[::2])


def case(m=12, size=40, dim=6, classes=4, seed=0, dtype=torch.float64):
    """Anchors, labels, memory and its labels; each anchor's own entry is in the memory."""
    generator = torch.Generator().manual_seed(seed)

    def unit(n):
        return F.normalize(torch.randn(n, dim, generator=generator, dtype=torch.float64)).to(dtype)

    def label(n):
        return torch.randint(0, classes, (n,), generator=generator) - 1

    anchors, labels, memory, memory_labels = unit(m), label(m), unit(size), label(size)
    own = torch.randperm(size, generator=generator)[:m]
    memory[own], memory_labels[own] = anchors, labels
    return anchors, labels, memory, memory_labels, own


def brute(kind, settings, s, same, itself):
    """L_i, w_ij and the number of terms of one anchor, straight from Section 3.1."""
    positives = [j for j in range(len(s)) if same[j] and j != itself]
    negatives = [j for j in range(len(s)) if not same[j]]
    weights = [0.0] * len(s)
    if kind is ContrastiveLoss:
        valid = [j for j in negatives if s[j] > settings["lam"]]
        for j in positives + valid:
            weights[j] = 1.0
        value = sum(1 - s[j] for j in positives) + sum(s[j] for j in valid)
        return value, weights, len(positives) + len(valid)
    if kind is TripletLoss:
        value, terms = 0.0, 0
        for k in positives:
            for j in negatives:
                if s[k] < s[j] + settings["eta"]:
                    value += s[j] - s[k] + settings["eta"]
                    terms += 1
                    weights[j] += 1
                    weights[k] += 1
        return value, weights, terms
    if not positives or not negatives:
        return 0.0, weights, 0
    alpha, beta, lam, epsilon = (settings[n] for n in ("alpha", "beta", "lam", "epsilon"))
    mined_n = [j for j in negatives if s[j] > min(s[k] for k in positives) - epsilon]
    mined_p = [k for k in positives if s[k] < max(s[j] for j in negatives) + epsilon]
    if not mined_n:
        return 0.0, weights, 0
    total_n = 1 + sum(math.exp(beta * (s[j] - lam)) for j in mined_n)
    total_p = 1 + sum(math.exp(-alpha * (s[k] - lam)) for k in mined_p)
    for j in mined_n:
        weights[j] = math.exp(beta * (s[j] - lam)) / total_n
    for k in mined_p:
        weights[k] = math.exp(-alpha * (s[k] - lam)) / total_p
    return math.log(total_n) / beta + math.log(total_p) / alpha, weights, 1


def brute_batch(kind, settings, anchors, labels, memory, memory_labels, own=None):
    """Sums of L_i and of terms, w_ij, their signs in Eq. 5, and its gradient, all without 1/m."""
    anchors, memory = anchors.double().tolist(), memory.double().tolist()
    labels, memory_labels = labels.tolist(), memory_labels.tolist()
    own = [-1] * len(labels) if own is None else own.tolist()
    total, terms, weights, signs, grad = 0.0, 0, [], [], []
    for v, y, itself in zip(anchors, labels, own, strict=True):
        s = [sum(a * b for a, b in zip(v, w, strict=True)) for w in memory]
        same = [y == z for z in memory_labels]
        value, row, n = brute(kind, settings, s, same, itself)
        total, terms = total + value, terms + n
        sign = [-1.0 if match else 1.0 for match in same]
        weights.append(row)
        signs.append(sign)
        pairs = list(zip(sign, row, memory, strict=True))
        grad.append([sum(f * w * u[d] for f, w, u in pairs) for d in range(len(v))])

    def matrix(rows, width):
        return torch.tensor(rows, dtype=torch.float64).reshape(len(labels), width)

    m, d = len(memory), len(anchors[0])
    return total, terms, matrix(weights, m), matrix(signs, m), matrix(grad, d)


def owners(mode, own):
    """Own entries named for all, for none in two ways, or for every other anchor."""
    if mode == "none":
        return None
    some = torch.arange(len(own)) % 2 == 0
    return {"all": own, "-1": torch.full_like(own, -1), "some": torch.where(some, own, -1)}[mode]


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
