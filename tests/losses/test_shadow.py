"""Tests of the losses searched in bfloat16 and decided in float32."""

import pytest
import torch
from torch.nn import functional as F

from tests.losses.test_values import each_loss, each_setting
from xbmlib.losses import ContrastiveLoss
from xbmlib.losses.candidates import BF16_ERROR
from xbmlib.queue import CrossBatchMemory

M, D = 3000, 32


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


def outcome(loss, memory, anchors, labels, own, shadow):
    """Value, gradient and valid pairs of one call."""
    anchors.grad = None
    out = loss(anchors, labels, memory.embeddings, memory.labels, own=own, shadow=shadow)
    out.backward()
    return out.detach(), anchors.grad, *loss.valid


@each_setting
@pytest.mark.parametrize("length", [1.0, 3.0])
def test_same_as_float32(kind, settings, length):
    """Oracle: the same call in float32 throughout, for entries of any length."""
    memory, anchors, labels, own = filled(shadow=True)
    memory.enqueue(length * memory.embeddings.flip(0)[:500], memory.labels.flip(0)[:500])
    own = torch.full_like(own, -1)
    loss = kind(**settings)
    wanted = outcome(loss, memory, anchors, labels, own, None)
    got = outcome(loss, memory, anchors, labels, own, memory.shadow)
    assert wanted[2].sum() > 0
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)
    same = (anchors, labels, memory.embeddings, memory.labels)
    torch.testing.assert_close(loss.weights(*same, shadow=memory.shadow), loss.weights(*same))


@pytest.mark.parametrize("sign", [-1, 1], ids=["below", "above"])
def test_pairs_that_bfloat16_puts_on_the_wrong_side(sign):
    """Oracle: the sign of S - λ in float64, for pairs that bfloat16's rounding moves across λ."""
    generator = torch.Generator().manual_seed(0)
    anchors, memory = (F.normalize(torch.randn(n, D, generator=generator)) for n in (40, 20000))
    exact = anchors.double() @ memory.double().T
    rough = (anchors.bfloat16() @ memory.bfloat16().T).double()
    lam = 0.3
    moved = (exact > lam) != (rough > lam)
    moved &= (exact > lam) == (sign > 0)
    assert moved.sum() > 20
    labels, others = torch.zeros(40, dtype=torch.int64), torch.ones(20000, dtype=torch.int64)
    shadow = memory.bfloat16(), torch.tensor(1.0)
    found = ContrastiveLoss(lam).weights(anchors, labels, memory, others, shadow=shadow)
    assert torch.equal(found > 0, exact > lam)
    # A rough product alone would have got these wrong.
    assert ((found[moved] > 0) == (sign > 0)).all()


def test_the_error_of_a_bfloat16_product_is_within_its_bound():
    """Oracle: float64, over vectors made to round badly: each value halfway between two."""
    generator = torch.Generator().manual_seed(1)
    for d in (8, 64, 512):
        v, w = (torch.randint(128, 256, (200, d), generator=generator) + 0.499 for _ in range(2))
        v, w = F.normalize(v), F.normalize(w * torch.sign(torch.randn(d, generator=generator)))
        error = (v.bfloat16() @ w.bfloat16().T).double() - v.double() @ w.double().T
        assert error.abs().max() < 0.75 * BF16_ERROR


@each_loss
def test_bfloat16_memory_is_decided_in_float32(kind, settings):
    """Oracle: the same rounded entries as a float32 memory; bf16 does not decide."""
    memory, anchors, labels, own = filled(dtype=torch.bfloat16)
    exact = CrossBatchMemory(M, D)
    exact.load_state_dict(memory.float().state_dict())
    rounded = outcome(kind(**settings), exact, anchors, labels, own, None)
    got = outcome(kind(**settings), filled(dtype=torch.bfloat16)[0], anchors, labels, own, None)
    for a, b in zip(got, rounded, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


def test_shadow_follows_the_memory():
    """Oracle: its definition, through wrapping, resuming and forgetting."""
    memory, *_ = filled(shadow=True)
    other = CrossBatchMemory(M, D, shadow=True)
    other.load_state_dict(memory.state_dict())
    for held in (memory, other):
        entries, length = held.shadow
        assert torch.equal(entries, held.embeddings.bfloat16())
        assert length == held.embeddings.norm(dim=1).max()
    memory.enqueue(5 * torch.eye(D)[:3], torch.arange(3))
    assert memory.shadow[1] == 5
    memory.reset()
    assert memory.shadow[0].shape == (0, D) and memory.shadow[1] == 0
    assert CrossBatchMemory(4, D).shadow is None
    assert set(other.state_dict()) == set(CrossBatchMemory(M, D).state_dict())


def test_bad_shadows():
    """Oracle: one clear error each."""
    with pytest.raises(ValueError, match="bfloat16 copy is of use beside float32"):
        CrossBatchMemory(4, D, dtype=torch.float16, shadow=True)
    memory, anchors, labels, _ = filled()
    for entries in (memory.embeddings, memory.embeddings[:5].bfloat16()):
        with pytest.raises(ValueError, match="give the bfloat16 copy"):
            ContrastiveLoss()(
                anchors, labels, memory.embeddings, memory.labels, shadow=(entries, torch.ones(()))
            )
