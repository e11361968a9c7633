"""Tests of the nearest images against sorting."""

import pytest
import torch

from xbmlib.recall import neighbours


def test_neighbours_equal_sorting():
    """Oracle: argsort; each query leaves itself out by index even where a duplicate comes first."""
    generator = torch.Generator().manual_seed(2)
    query = torch.randn(25, 5, generator=generator)
    s = query @ query.T
    s.fill_diagonal_(-torch.inf)
    similarities, indices = neighbours(query, 4)
    assert torch.equal(indices, s.argsort(1, descending=True)[:, :4])
    torch.testing.assert_close(similarities, s.gather(1, indices))
    gallery = torch.randn(9, 5, generator=generator)
    assert torch.equal(
        neighbours(query, 9, gallery)[1], (query @ gallery.T).argsort(1, descending=True)
    )
    some = torch.tensor([7, 0, 24])
    own = neighbours(query[some], 4, query, own=some)
    assert torch.equal(own[1], indices[some])
    torch.testing.assert_close(own[0], similarities[some])
    for row, found in enumerate(neighbours(torch.ones(6, 2), 3)[1].tolist()):
        assert row not in found and len(set(found)) == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda q: neighbours(q, 4), "k=4"),
        (lambda q: neighbours(q, 0), "k=0"),
        (lambda q: neighbours(q[:2], 4, q, own=torch.tensor([0, 1])), "k=4: give 1 to 3"),
        (lambda q: neighbours(q, 1, q[:, :1]), "D = 1"),
        (lambda q: neighbours(q * torch.nan, 1), "finite"),
        (lambda q: neighbours(q, 1, own=torch.arange(4)), "own without a gallery"),
        (lambda q: neighbours(q.numpy(), 1), "query of type ndarray: give a tensor"),
    ],
)
def test_bad_input(call, message):
    """Oracle: the message names the argument and the fault."""
    with pytest.raises(ValueError, match=message):
        call(torch.rand(4, 2))
