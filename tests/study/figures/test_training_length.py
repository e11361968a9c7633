"""Tests of the experiments on the length of training."""

from xbmlib.study.figures import training_length


def test_lengths_differ_in_nothing_but_the_schedule():
    """Oracle: every field but the steps, and the start, which is a share of them."""
    parameters = training_length.Parameters(profile="full", seeds=1)
    found = training_length.experiments(parameters)
    assert [(e.batch, e.steps) for e in found[8:30:2]] == [
        *[(16, 4000), (64, 1000)] * 3, *[(64, 4000)] * 2,
        (16, 1000), (64, 1000), (256, 1000),
    ]  # fmt: skip
    random = found[30:]
    assert [(e.batch, e.steps) for e in random] == [(16, 4000), (64, 1000), (64, 4000)]
    assert {(e.sampler, e.ratio > 0) for e in random} == {("shuffle", True)}
    assert {e.sampler for e in found[:30]} == {"pk"}
    found = found[:8]
    assert [e.steps for e in found] == [500, 500, 1000, 1000, 2000, 2000, 4000, 4000]
    for arm in (0, 1):
        same = {str(e.replace(steps=9999, start=0)) for e in found[arm::2]}
        assert len(same) == 1
        assert len({e.start / e.steps for e in found[arm::2]}) == 1
