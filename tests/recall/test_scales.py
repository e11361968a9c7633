"""Tests of the retrieval measures at any scale and precision, against exact rational arithmetic."""

from fractions import Fraction

import pytest
import torch

from xbmlib.recall import map_at_r, neighbours, r_precision, recall_at_k

KS = (1, 2, 5)


def exact(query, labels, gallery=None, gallery_labels=None):
    """R@K, MAP@R and R-precision by fractions; at a tie another class comes first."""
    alone = gallery is None
    if alone:
        gallery, gallery_labels = query, labels
    rows = [[Fraction(x) for x in row] for row in gallery.double().tolist()]
    hits_at, average, precision = dict.fromkeys(KS, 0), 0.0, 0.0
    for i, v in enumerate(query.double().tolist()):
        v = [Fraction(x) for x in v]
        ranked = sorted(
            (-sum(a * b for a, b in zip(v, g, strict=True)), int(gallery_labels[j] == labels[i]))
            for j, g in enumerate(rows)
            if not (alone and i == j)
        )
        hits = [hit for _, hit in ranked]
        r = sum(hits)
        for k in KS:
            hits_at[k] += any(hits[:k])
        if r:
            precision += sum(hits[:r]) / r
            average += sum(sum(hits[: n + 1]) / (n + 1) for n in range(r) if hits[n]) / r
    n = len(query)
    return {k: v / n for k, v in hits_at.items()}, average / n, precision / n


def sample(dtype, n=40):
    """Embeddings of few digits, so that float32's products rank them without a near tie."""
    generator = torch.Generator().manual_seed(4)
    v = torch.randint(-8, 9, (n, 6), generator=generator).to(dtype) / 8
    return v, torch.randint(0, 9, (n,), generator=generator)


def measured(*args):
    """All three of ours."""
    return recall_at_k(*args[:2], KS, *args[2:]), map_at_r(*args), r_precision(*args)


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        (torch.float64, 1e40), (torch.float64, 1e300), (torch.float64, 1e-300),
        (torch.float64, 1e-40), (torch.float64, 1.0), (torch.float32, 1e20),
        (torch.float32, 1e37), (torch.float32, 1e-25), (torch.float32, 1e-36),
        (torch.float32, 1.0), (torch.bfloat16, 2.0**100), (torch.bfloat16, 2.0**-100),
        (torch.float16, 2.0**12), (torch.float16, 2.0**-12),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("alone", [True, False], ids=["leave-one-out", "gallery"])
def test_any_scale(dtype, scale, alone):
    """Oracle: fractions of the embeddings without the scale, which changes no ranking.

    The nearest power of two is taken, which scales the embeddings without rounding.
    """
    scale = 2.0 ** round(torch.tensor(scale, dtype=torch.float64).log2().item())
    v, labels = sample(dtype)
    args = (v, labels) if alone else (v[:15], labels[:15], v[15:], labels[15:])
    wanted = exact(*args)
    scaled = [x * scale if x.is_floating_point() else x for x in args]
    assert all(x.isfinite().all() for x in scaled)
    found = measured(*scaled)
    assert found[0] == pytest.approx(wanted[0])
    assert found[1:] == pytest.approx(wanted[1:])
    assert 0 < wanted[0][1] < 1


def test_a_match_nearer_by_a_billionth():
    """Oracle: fractions; float32 cannot tell the two similarities apart."""
    query = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    gallery = torch.tensor([[0.5 + 1e-9, 0.1], [0.5, 0.9]], dtype=torch.float64)
    args = query, torch.tensor([0]), gallery, torch.tensor([0, 1])
    assert exact(*args)[0][1] == 1 and gallery[0, 0].float() == gallery[1, 0].float()
    assert recall_at_k(query, args[1], [1], *args[2:]) == {1: 1}
    assert map_at_r(*args) == r_precision(*args) == 1


@pytest.mark.parametrize("seed", range(3))
def test_float64_close_calls(seed):
    """Oracle: fractions, of images so close that float32 sees one point."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.randn(1, 5, generator=generator, dtype=torch.float64)
    v = centre + 1e-9 * torch.randn(40, 5, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 9, (40,), generator=generator)
    wanted = exact(v, labels)
    assert measured(v, labels)[0] == pytest.approx(wanted[0])
    assert measured(v, labels)[1:] == pytest.approx(wanted[1:])


def test_what_no_product_can_compare_is_refused():
    """Oracle: the message and its remedy."""
    v = torch.eye(3, dtype=torch.float64)
    v[0] *= 1e-200
    for measure in (lambda: recall_at_k(v, torch.arange(3), [1]), lambda: map_at_r(v, v[0].long())):
        with pytest.raises(ValueError, match="times smaller than others: normalise"):
            measure()
    for bad, message in (
        (v, r"query of torch.float64: .* query.float\(\)"),
        (torch.eye(3) * 1e20, "divide them by their largest norm"),
        (torch.eye(3) * 1e-25, "divide them by their largest norm"),
        (torch.eye(3, dtype=torch.complex64), "query of torch.complex64"),
        (torch.eye(3).long(), "query of torch.int64"),
    ):
        with pytest.raises(ValueError, match=message):
            neighbours(bad, 1)
    with pytest.raises(ValueError, match="query of torch.complex64"):
        recall_at_k(torch.eye(3, dtype=torch.complex64), torch.arange(3), [1])


def test_embeddings_with_a_gradient():
    """Oracle: the same embeddings without."""
    v, labels = sample(torch.float32)
    z = v.clone().requires_grad_()
    assert measured(z, labels) == measured(v, labels)
    for got, wanted in zip(neighbours(z, 3), neighbours(v, 3), strict=True):
        assert torch.equal(got, wanted) and not got.requires_grad
    gallery = neighbours(v[:4], 2, z, own=torch.arange(4, dtype=torch.uint8))[1]
    assert torch.equal(gallery, neighbours(v[:4], 2, v, own=torch.arange(4))[1])


@pytest.mark.parametrize(
    "own", [torch.tensor([0.0, 1.0]), torch.tensor([True, False]), torch.tensor([0]),
            torch.tensor([0, 9]), torch.tensor([-1, 0])], ids=str,
)  # fmt: skip
def test_bad_own(own):
    """Oracle: the message names own."""
    v, _ = sample(torch.float32, 5)
    with pytest.raises(ValueError, match="own"):
        neighbours(v[:2], 1, v, own=own)


def test_queries_of_any_norm_rank_alike():
    """Oracle: the same queries at norm 1: a power of two changes no ranking; against a gallery that
    has collapsed to one point, where every image ties, nothing is found.
    """
    generator = torch.Generator().manual_seed(0)
    query, labels = torch.randn(50, 96, generator=generator), torch.arange(50) % 10
    gallery, others = torch.randn(60, 96, generator=generator), torch.arange(60) % 10
    point = gallery[:1].expand(60, 96)
    for exponent in (0, -40, -75, -80):
        small = query.clone()
        small[1:] *= 2.0**exponent
        assert recall_at_k(small, labels, [1], point, others) == {1: 0}
        wanted = recall_at_k(query, labels, KS, gallery, others)
        assert recall_at_k(small, labels, KS, gallery, others) == wanted
