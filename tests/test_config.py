"""Tests of the experiment's validation."""

import json

import pytest

from xbmlib.config import ConfigError, Experiment


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"rato": 0.1}, r"rato=0\.1.*did you mean ratio"),
        ({"zzz": 1}, "zzz=1.*known: data"),
        ({"lr": "1e-3"}, "lr='1e-3'.*number"),
        ({"steps": 10.5}, r"steps=10\.5.*integer"),
        ({"batch": True}, "batch=True.*integer"),
        ({"ratio": 2}, "ratio=2.*less than or equal to 1"),
        ({"ratio": float("nan")}, "ratio=nan.*finite"),
        ({"lr": 0}, "lr=0.*greater than 0"),
        ({"lam": 1.01}, r"lam=1\.01.*less than or equal to 1"),
        ({"loss": "hinge"}, "loss='hinge'.*contrastive"),
        ({"backbone": "vgg"}, "backbone='vgg'.*compact"),
        ({"batch": 2}, "k=4 with batch=2.*at most 2"),
        ({"batch": 18}, "batch=18 with k=4.*say 16"),
        ({"ratio": 0.1, "start": 4000}, "start=4000 with steps=4000.*below 4000"),
        ({"drift": (5000,)}, r"drift=\(5000,\).*at most 4000"),
        ({"drift": (0,)}, r"drift.*=0.*greater than or equal to 1"),
    ],
)
def test_one_clear_line(values, told):
    """Oracle: the line names the field, its value and the remedy."""
    with pytest.raises(ConfigError, match=told) as caught:
        Experiment(**values)
    assert len(str(caught.value).splitlines()) == 1


def test_every_mistake_has_its_line():
    """Oracle: two mistakes, two lines."""
    with pytest.raises(ConfigError) as caught:
        Experiment(lr=-1, stepps=3)
    assert len(str(caught.value).splitlines()) == 2


def test_memory_size():
    """Oracle: ratio × N by hand; a memory below the batch is refused with the least ratio."""
    assert Experiment(ratio=0.25).memory_size(1000) == 250
    assert Experiment().memory_size(1000) == 0
    with pytest.raises(ConfigError, match=r"M = 10, less than batch=16.*at least 0\.016"):
        Experiment(ratio=0.01).memory_size(1000)
    # What is refused for k stays possible with a shuffle, which has none.
    assert Experiment(sampler="shuffle", batch=18).batch == 18


def test_frozen_and_changed_by_copy():
    """Oracle: the original keeps its value, and a change is validated."""
    first = Experiment()
    with pytest.raises(Exception, match="frozen"):
        first.lr = 1.0
    assert first.but(lr=0.5).lr == 0.5 and first.lr != 0.5
    with pytest.raises(ConfigError, match="lr=0"):
        first.but(lr=0)


def test_json_round_trip():
    """Oracle: equality."""
    first = Experiment(drift=(1, 10), ratio=0.1)
    assert Experiment.from_dict(json.loads(json.dumps(first.model_dump()))) == first
