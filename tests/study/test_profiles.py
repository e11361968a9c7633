"""Tests of the settings that an experiment takes."""

import pytest

from xbmlib.study.profiles import PROFILES, experiment


@pytest.mark.parametrize(("batch", "searched"), [(16, 16), (30, 16), (32, 64), (256, 64)])
def test_settings_of_the_nearest_batch_searched(batch, searched):
    """Oracle: 32 is midway between 16 and 64 in the logarithm, and goes to the larger."""
    one, other = (experiment(PROFILES["quick"], b, seed=0, ratio=0.0) for b in (batch, searched))
    assert (one.lr, one.lam, one.k, one.dim) == (other.lr, other.lam, other.k, other.dim)
