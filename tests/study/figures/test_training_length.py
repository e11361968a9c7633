"""Tests of the experiments on the length of training."""

from xbmlib.study.figures import training_length


def test_lengths_differ_in_nothing_but_the_schedule():
    """Oracle: every field but the steps, and the evaluations, one in 2,000 of them."""
    parameters = training_length.Parameters(profile="full", seeds=1)
    found = training_length.experiments(parameters)
    assert [(e.batch, e.steps) for e in found[4:20:2]] == [
        *[(16, 4000), (64, 1000)] * 3, *[(64, 4000)] * 2,
    ]  # fmt: skip
    random = found[20:]
    assert [(e.batch, e.steps) for e in random] == [(16, 4000), (64, 1000), (64, 4000)]
    assert {(e.sampler, e.ratio > 0) for e in random} == {("shuffle", True)}
    assert {e.sampler for e in found[:20]} == {"pk"}
    found = found[:4]
    assert [e.steps for e in found] == [6000, 6000, 12_000, 12_000]
    assert {e.start for e in found} == {1000} and {e.steps // e.evaluations for e in found} == {
        2000
    }
    for arm in (0, 1):
        assert len({str(e.replace(steps=9999, evaluations=1)) for e in found[arm::2]}) == 1
