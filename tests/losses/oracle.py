"""What the losses are tested against: loops over pairs, and pytorch-metric-learning.

Settings, cases and small helpers that several tests share stand here too.
"""

import math

import pytest
import torch
from pytorch_metric_learning import distances, miners, reducers
from pytorch_metric_learning import losses as peers
from torch.nn import functional as F

from xbmlib.losses import ContrastiveLoss, MultiSimilarityLoss, TripletLoss
from xbmlib.queue import CrossBatchMemory

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


each_kind = pytest.mark.parametrize("kind", [ContrastiveLoss, TripletLoss, MultiSimilarityLoss])


AXES = torch.eye(4)


HALF = torch.full((1, 4), 0.5)


M, D = 3000, 32


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


def filled(seed=0, **named):
    """A memory of noisy class centres, its anchors, their labels and their own slots."""
    generator = torch.Generator().manual_seed(seed)
    centres = F.normalize(torch.randn(300, D, generator=generator))
    labels = torch.randint(0, 300, (M + 24,), generator=generator)
    noise = torch.randn(M + 24, D, generator=generator)
    v = F.normalize(centres[labels] + 0.12 * noise)
    memory = CrossBatchMemory(M, D, **named)
    memory.enqueue(v[:M], labels[:M])
    anchors = v[M:].clone().requires_grad_()
    return memory, anchors, labels[M:], memory.enqueue(anchors, labels[M:])


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


def value_and_gradient(loss, anchors, *rest, **named):
    """Value, gradient of the anchors and valid pairs of one call."""
    z = anchors.clone().requires_grad_()
    out = loss(z, *rest, **named)
    out.backward()
    return out.detach(), z.grad, loss.valid.negatives, loss.valid.positives


def outcome(loss, memory, anchors, labels, own, shadow):
    """Value, gradient and valid pairs of one call."""
    anchors.grad = None
    out = loss(anchors, labels, memory.embeddings, memory.labels, own=own, shadow=shadow)
    out.backward()
    return out.detach(), anchors.grad, *loss.valid


def listed(labels, others, own):
    """Every pair of the anchors with another than their own entry, one by one."""
    positives, negatives = [], []
    for i, label in enumerate(labels.tolist()):
        for j, other in enumerate(others.tolist()):
            if label != other:
                negatives.append((i, j))
            elif j != int(own[i]):
                positives.append((i, j))
    return (*torch.tensor(positives).T, *torch.tensor(negatives).T)


def peer_of(kind):
    """The peer's loss, its miner, and the factor that brings it to Eq. 1's 1/m."""
    cosine = {"distance": distances.CosineSimilarity(), "reducer": reducers.SumReducer()}
    if kind is ContrastiveLoss:
        return peers.ContrastiveLoss(pos_margin=1, neg_margin=0.5, **cosine), None, lambda m: 1 / m
    if kind is TripletLoss:
        return peers.TripletMarginLoss(0.1, **cosine), None, lambda m: 1 / m
    return peers.MultiSimilarityLoss(2, 40, 0.5), miners.MultiSimilarityMiner(0.1), lambda m: 1


def offset(loss):
    """What ours adds to the peer's: λ for each valid negative of the contrastive loss."""
    return 0.5 * int(loss.valid.negatives.sum()) if isinstance(loss, ContrastiveLoss) else 0.0
