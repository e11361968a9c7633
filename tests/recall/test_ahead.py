"""Tests of the counts of images ahead of the best match, against products in float64."""

import pytest
import torch
from torch.nn import functional as F

from xbmlib.recall import ahead, recall_at_k, screen


@pytest.fixture(params=["float32", "screened", "screened in vain"], autouse=True)
def product(request, monkeypatch):
    """A CPU's product; a GPU's in bfloat16, decided pair by pair; and tile by tile in float32."""
    if request.param != "float32":
        monkeypatch.setattr(screen, "DEVICES", {"cpu", "cuda"})
        monkeypatch.setattr(screen, "PAIRS", 7)
        monkeypatch.setattr(screen, "RARE", 0 if request.param == "screened" else 1 << 40)
        monkeypatch.setattr(ahead, "SCREENED_SIDE", 1)


@pytest.mark.parametrize("side", [16, 48, 2048])
@pytest.mark.parametrize("spread", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize("alone", [True, False], ids=["leave-one-out", "gallery"])
def test_close_calls_are_decided_in_float64(side, spread, alone, monkeypatch):
    """Oracle: sorting in float64. The images lie so close that float32 cannot order them."""
    monkeypatch.setattr(ahead, "TILE_SIDE", side)
    generator = torch.Generator().manual_seed(3)
    centre = F.normalize(torch.randn(1, 24, generator=generator))
    vectors = F.normalize(centre + spread * torch.randn(240, 24, generator=generator))
    labels = torch.randint(0, 70, (240,), generator=generator)
    split = slice(240) if alone else slice(100)
    q, g, y, z = vectors[split], vectors[100:], labels[split], labels[100:]
    rest = () if alone else (g, z)
    s = q.double() @ (q if alone else g).double().T
    same = y[:, None] == (y if alone else z)
    if alone:
        s.fill_diagonal_(-9)
    best = s.masked_fill(~same, -9).amax(1, keepdim=True)
    count = (s.masked_fill(same, -9) >= best).sum(1)
    wanted = {k: float(((count < k) & (best[:, 0] > -9)).double().mean()) for k in (1, 3, 30, 300)}
    assert recall_at_k(q, y, list(wanted), *rest) == pytest.approx(wanted)
    if spread < 1e-5:
        rough = q @ (q if alone else g).T
        assert ((rough[:, :-1] > rough[:, 1:]) != (s[:, :-1] > s[:, 1:])).any()


@pytest.mark.parametrize("alone", [True, False], ids=["leave-one-out", "gallery"])
@pytest.mark.parametrize("max_rank", [1, 4, 1000])
def test_counts_are_exact_below_the_largest_rank(max_rank, alone, monkeypatch):
    """Oracle: every pair compared in float64; from ``max_rank`` on a count is a lower bound."""
    monkeypatch.setattr(ahead, "TILE_SIDE", 16)
    generator = torch.Generator().manual_seed(5)
    vectors = F.normalize(torch.randn(90, 6, generator=generator))
    labels = torch.randint(0, 40, (90,), generator=generator)
    q, y = vectors[:50], labels[:50]
    g, z = (q, y) if alone else (vectors[30:], labels[30:])
    wanted = []
    for i in range(len(q)):
        s = [float(q[i].double() @ v) for v in g.double()]
        matches = [s[j] for j in range(len(g)) if z[j] == y[i] and not (alone and i == j)]
        others = [s[j] for j in range(len(g)) if z[j] != y[i]]
        best = max(matches, default=None)
        wanted.append(torch.inf if best is None else sum(o >= best for o in others))
    rest = (None, None) if alone else (g, z)
    found = ahead.images_ahead(q, y, *rest, max_rank).tolist()
    assert torch.inf in wanted and min(wanted) == 0
    for count, exact in zip(found, wanted, strict=True):
        assert count == exact or max_rank <= count < exact
    assert max_rank < 1000 or found == wanted
