"""Tests of the cost model of a very large memory."""

import pytest

from xbmlib.losses import candidates
from xbmlib.study.figures.cost_model import Load, Rates, cost

# Round numbers, so that each term can be distinguished from the others.
RATES = Rates(flops=1e9, exact=1e8, bandwidth=1e7, link=1e6, latency=1e-3)


def test_one_process_by_hand():
    """Oracle: 2mMD operations against MD numbers read, whichever takes longer."""
    load = Load("one process", 1, 64, 10, 100_000, 4, 0, 0)
    found = cost(load, RATES)
    assert found == (1, pytest.approx(4 * 10 * 100_000 / 1e7), 0.0, 0)
    many = cost(load._replace(m=6400), RATES)
    assert many.product == pytest.approx(2 * 6400 * 10 * 100_000 / 1e9)
    # bfloat16 halves what is read.
    assert cost(load._replace(entry_bytes=2), RATES).product == pytest.approx(found.product / 2)


def test_kept_pairs_by_hand():
    """Oracle: 64 x 30 similarities, 12 times 4 bytes each, and their product with 10 numbers."""
    load = Load("one process", 1, 64, 10, 1000, 4, 10, 20)
    extra = cost(load, RATES).product - cost(load._replace(matched=0, near=0), RATES).product
    assert extra == pytest.approx(64 * 30 * 12 * 4 / 1e7 + 2 * 64 * 30 * 10 / 1e8)


def test_a_gpu_by_hand():
    """Oracle: 8 bytes per similarity, written and read in float32; 4 more from bfloat16."""
    load, gpu = Load("one process", 1, 64, 10, 10**6, 4, 0, 0), RATES._replace(larger=16)
    pairs = 64 * 10**6
    assert cost(load, gpu).product == pytest.approx(2 * pairs * 10 / 1e9 + 8 * pairs / 1e7)
    low = cost(load._replace(entry_bytes=2), gpu).product
    assert low == pytest.approx(2 * pairs * 10 / 1e9 + 12 * pairs / 1e7)
    # Tiles of 2^24 pairs.
    tiled = cost(load, gpu._replace(tile=1e-3)).product - cost(load, gpu).product
    assert tiled == pytest.approx(pairs / candidates.DENSE_LIMIT["cuda"] * 1e-3)


def test_two_designs_by_hand():
    """Oracle: bytes counted by hand, for 4 ranks, 64 anchors of 10 numbers, 30 columns."""
    load = Load("replicated", 4, 64, 10, 100_000, 4, 10, 20)
    gathered = 64 * (4 * 10 + 16) * 3
    replicated, sharded = cost(load, RATES), cost(load._replace(design="sharded"), RATES)
    assert replicated.traffic == gathered + 2 * 8 * (2 + 128) * 3
    assert sharded.traffic == gathered + 64 * 30 * 4 * 3 + 2 * 64 * 10 * 4 * 3
    assert replicated.exchange == pytest.approx(replicated.traffic / 4 / 1e6 + 4e-3)
    assert sharded.exchange == pytest.approx(sharded.traffic / 4 / 1e6 + 8e-3)
    # A quarter of the entries is read; a single rank exchanges nothing.
    bare = [cost(x._replace(matched=0, near=0), RATES).product for x in (
        load, load._replace(design="sharded"))]  # fmt: skip
    assert bare[1] == pytest.approx(bare[0] / 4)
    assert cost(load._replace(ranks=1, design="sharded"), RATES).exchange == 0
    # Traffic does not grow with M, but for the pairs that are valid.
    assert cost(load._replace(design="sharded", entries=10**9), RATES).traffic == sharded.traffic


def test_passes_by_hand():
    """Oracle: halving the anchors until their share of the columns fits in 2^20 pairs."""
    load = Load("one process", 1, 64, 10, 10**6, 4, 0, 2**20)
    # 64 x 2^20, 32 x 2^19, 16 x 2^18, 8 x 2^17 pairs.
    assert cost(load, RATES).passes == 8
    assert cost(load._replace(near=2**14), RATES).passes == 1
    assert cost(load, RATES._replace(larger=64)).passes == 1
    assert cost(load, RATES._replace(tile=1e-3)).product > cost(load, RATES).product
