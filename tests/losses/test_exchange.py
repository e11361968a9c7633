"""Tests of the points where the parts of several processes meet; here the processes are threads."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch

from tests.losses.oracle import brute_batch, case, each_setting
from xbmlib.losses import candidates
from xbmlib.losses.exchange import Exchange, Sums
from xbmlib.losses.inputs import references


class Board:
    """Where two threads leave what the other one reads."""

    def __init__(self):
        self.notes, self.barrier = [None, None], Barrier(2, timeout=60)

    def swap(self, rank, note):
        """Both notes, in order of ranks."""
        self.notes[rank] = note
        self.barrier.wait()
        both = list(self.notes)
        self.barrier.wait()
        return both


class HalfOfEntries(Exchange):
    """All anchors, and a half of the entries."""

    holds_all = False

    def __init__(self, rank, board):
        self.rank, self.swap = rank, lambda note: board.swap(rank, note)

    def total_columns(self, n):
        """See :meth:`Exchange.total_columns`."""
        return sum(self.swap(n))

    def gather_columns(self, similarities):
        """See :meth:`Exchange.gather_columns`."""
        both = self.swap(similarities)
        first = both[0].shape[1] if self.rank else 0
        return torch.cat(both, 1), slice(first, first + similarities.shape[1])

    def reduce(self, sums):
        """See :meth:`Exchange.reduce`."""
        return sums._replace(grad=sum(self.swap(sums.grad)))


class HalfOfAnchors(Exchange):
    """All entries, and a half of the anchors."""

    def __init__(self, rank, board):
        self.swap = lambda note: board.swap(rank, note)

    def reduce(self, sums):
        """See :meth:`Exchange.reduce`."""
        a, b = self.swap(sums)
        valid = torch.cat([a.negatives, b.negatives]), torch.cat([a.positives, b.positives])
        anchors = a.anchors + b.anchors
        return Sums(sums.grad, a.total + b.total, a.terms + b.terms, anchors, *valid)


@each_setting
@pytest.mark.parametrize("limit", [40, 1 << 20], ids=["blocks", "one block"])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("divided", [HalfOfEntries, HalfOfAnchors])
def test_two_parts_are_one_whole(kind, settings, limit, reduction, divided, monkeypatch):
    """Oracle: the loops over all pairs: value, gradient and valid pairs, on both sides alike."""
    monkeypatch.setattr(candidates, "BLOCK_LIMIT", limit)
    anchors, labels, memory, memory_labels, own = case()
    total, terms, weights, signs, grad = brute_batch(
        kind, settings, anchors, labels, memory, memory_labels, own
    )
    scale = terms if reduction == "mean" else len(anchors)
    board = Board()

    def run(rank):
        loss, z = kind(**settings, reduction=reduction), anchors.clone().requires_grad_()
        # An odd share: 17 of 40 entries, or 5 of 12 anchors.
        if divided is HalfOfEntries:
            rows, part = slice(None), (slice(0, 17), slice(17, None))[rank]
            slots = torch.where((own < 17) == (rank == 0), own - 17 * rank, -1)
        else:
            rows, part = (slice(0, 5), slice(5, None))[rank], slice(None)
            slots = own[rows]
        refs = references(z[rows], labels[rows], memory[part], memory_labels[part], slots)
        refs = refs._replace(exchange=divided(rank, board))
        value = loss.compare(z[rows], labels[rows], refs)
        value.backward()
        return value.item(), z.grad[rows], rows, loss.valid

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(run, range(2)))
    for value, gradient, rows, valid in found:
        assert value == pytest.approx(total / scale)
        torch.testing.assert_close(gradient, grad[rows] / scale)
        assert torch.equal(valid.negatives, ((weights > 0) & (signs > 0)).sum(1))
        assert torch.equal(valid.positives, ((weights > 0) & (signs < 0)).sum(1))


def test_one_process_holds_everything():
    """Oracle: by hand: what is given comes back, and all of its columns are local."""
    exchange, s = Exchange(), torch.ones(2, 3)
    joined, local = exchange.gather_columns(s)
    assert exchange.holds_all and exchange.total_columns(3) == 3
    assert torch.equal(joined[:, local], s) and joined.shape == s.shape
    sums = Sums(s, s.sum(), s.sum(), 2, torch.arange(2), torch.arange(2))
    assert exchange.reduce(sums) is sums
