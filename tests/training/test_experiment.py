"""Tests of the experiment's validation."""

import json
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbmlib.training.experiment import ConfigError, Experiment

INTEGERS = (
    "dim",
    "batch",
    "k",
    "start",
    "steps",
    "seed",
    "evaluations",
    "log_every",
    "probes",
    "lemma",
    "neighbours",
    "mined",
)
NUMBERS = (
    *("crop", "lam", "eta", "alpha", "beta", "epsilon"),
    *("ratio", "memory_weight", "lr", "weight_decay"),
)
CHOICES = {
    "split": ("test", "validation", "smoke"),
    "view": ("rendered", "paper", "released", "released_ms"),
    "backbone": ("compact", "googlenet", "bninception", "resnet50"),
    "pooling": ("avg", "max"),
    "sampler": ("pk", "shuffle"),
    "loss": ("contrastive", "triplet", "multi_similarity"),
    "reduction": ("sum", "mean"),
    "init": ("sample", "fill"),
    "memory_dtype": ("float32", "bfloat16", "float16"),
    "schedule": ("cosine", "step", "constant"),
    "precision": ("bf16", "fp32"),
}
# The largest value that is too small, the smallest that is too large; None: no such bound.
BOUNDS = {
    "dim": (0, 2**20 + 1),
    "batch": (1, 2**20 + 1),
    "k": (0, 2**20 + 1),
    "crop": (0, math.nextafter(1, 2)),
    "lam": (math.nextafter(-1, -2), math.nextafter(1, 2)),
    "eta": (-5e-324, None),
    "alpha": (0, None),
    "beta": (0, None),
    "epsilon": (-5e-324, None),
    "ratio": (-5e-324, math.nextafter(1, 2)),
    "start": (-1, None),
    "memory_weight": (0, None),
    "steps": (0, None),
    "lr": (0, None),
    "weight_decay": (-5e-324, None),
    "seed": (-1, 2**32),
    "evaluations": (0, 2**20 + 1),
    "log_every": (0, None),
    "probes": (0, 2**20 + 1),
    "lemma": (-1, None),
    "neighbours": (-1, None),
    "mined": (-1, None),
}


def refusal(**values):
    """The one line that refuses the values."""
    with pytest.raises(ConfigError) as caught:
        Experiment(**values)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_every_field_is_listed_here():
    """Oracle: the lists above and the fields of other kinds."""
    others = {"data", "weights", "freeze_bn", "batch_loss", "memory_shards", "drift"}
    assert {*INTEGERS, *NUMBERS, *CHOICES, *others} == Experiment.model_fields.keys()
    assert BOUNDS.keys() == {*INTEGERS, *NUMBERS}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rato": 0.1}, r"rato=0\.1: no such hyper-parameter; did you mean ratio\?"),
        ({"Loss": "triplet"}, "Loss='triplet': no such hyper-parameter; did you mean loss"),
        ({"self": 1}, "self=1: no such hyper-parameter"),
        ({"data": "a" * 5000, "split": 10**5000}, r"^split=an integer of 16,610 bits: input"),
        ({"n" * 5000: [10**5000]}, r"^n{200}=a list with an integer of thousands of digits: no"),
        ({"zzz": 1}, "zzz=1: no such hyper-parameter; known: data, .*probes"),
        ({"drift": (0,)}, r"drift.*=0: .*greater than or equal to 1"),
        ({"drift": (10, -3)}, r"drift.*=-3: .*greater than or equal to 1"),
        ({"drift": ("1",)}, r"drift.*='1': .*integer"),
        ({"drift": 3}, r"drift=3: .*tuple"),
        ({"drift": (10, 5000)}, r"drift=\(10, 5000\) with steps=4000: .*at most 4000"),
        ({"lemma": 300, "drift": (1,)}, "lemma=300 with probes=256: .*at most 256"),
        ({"lemma": 3}, r"lemma=3 with drift=\(\): .*give drift the Δt to measure, or lemma=0"),
        ({"batch": 2}, "k=4 with batch=2: .*at most 2"),
        ({"k": 17}, "k=17 with batch=16: .*at most 16"),
        ({"batch": 18}, "batch=18 with k=4: .*say 16"),
        ({"ratio": 0.1, "start": 4000}, "start=4000 with steps=4000: .*below 4000"),
        ({"ratio": 0.1, "steps": 500}, "start=500 with steps=500: .*below 500"),
        ({"ratio": 0.1, "start": 9000}, "start=9000 with steps=4000: .*below 4000"),
    ],
)
def test_one_clear_line(values, message):
    """Oracle: the line names the field, its value and the remedy."""
    assert re.match(message, refusal(**values))


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("value", ["8", 8.0, 8.5, True, None, (8,)], ids=repr)
def test_integers_only(name, value):
    """Oracle: the line names field and value, and says what to give; nothing is converted."""
    assert re.match(rf"{name}={re.escape(repr(value))}: .*integer", refusal(**{name: value}))


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["1e-3", True, None, [0.5]], ids=repr)
def test_numbers_only(name, value):
    """Oracle: as above. 1e-3 on a command line arrives as a string."""
    assert re.match(rf"{name}={re.escape(repr(value))}: .*number", refusal(**{name: value}))


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=repr)
def test_finite_numbers_only(name, value):
    """Oracle: as above."""
    assert re.match(rf"{name}={value!r}: .*finite", refusal(**{name: value}))


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("value", ["hinge", 1, None, True], ids=repr)
def test_listed_choices_only(name, value):
    """Oracle: the line names field and value, and lists the choices; each of them is taken."""
    message = refusal(**{name: value})
    assert message.startswith(f"{name}={value!r}: ")
    for choice in CHOICES[name]:
        assert repr(choice) in message
        assert getattr(Experiment(**{name: choice}), name) == choice


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("data", 3, "string"),
        ("data", None, "string"),
        ("weights", 3, "string"),
        ("batch_loss", 1, "boolean"),
        ("batch_loss", "yes", "boolean"),
        ("freeze_bn", 1, "boolean"),
    ],
)
def test_other_types(name, value, message):
    """Oracle: as above; no weights at all is a value of its own."""
    assert re.match(rf"{name}={value!r}: .*{message}", refusal(**{name: value}))
    assert Experiment(weights=None).weights is None


@pytest.mark.parametrize("name", BOUNDS)
def test_ranges(name):
    """Oracle: the tightest values outside are refused by name, and their neighbours are taken."""
    for value, inward in zip(BOUNDS[name], (math.inf, -math.inf), strict=True):
        if value is None:
            continue
        assert re.match(
            rf"{name}={re.escape(repr(value))}: .*(greater|less) than", refusal(**{name: value})
        )
        whole = name in INTEGERS
        inside = value + int(math.copysign(1, inward)) if whole else math.nextafter(value, inward)
        # Small steps and batches, and a large K, need the rest to fit.
        fitting = (
            {"k": 1}
            | ({"batch": 2**20} if name == "k" else {})
            | ({"start": 0} if name == "steps" else {})
            | ({"drift": (1,)} if name == "lemma" else {})
            | {name: inside}
        )
        assert getattr(Experiment(**fitting), name) == inside


def test_every_mistake_has_its_line():
    """Oracle: three mistakes, three lines, each with its field."""
    with pytest.raises(ConfigError) as caught:
        Experiment(lr=-1, stepps=3, loss="hinge")
    lines = str(caught.value).splitlines()
    assert sorted(line.split("=")[0] for line in lines) == ["loss", "lr", "stepps"]


def test_what_just_fits():
    """Oracle: the inequalities of the refusals, at their edges."""
    assert Experiment(batch=16, k=16).k == 16
    assert Experiment(ratio=0.1, start=3999).start == 3999
    assert Experiment(drift=(4000,)).drift == (4000,)
    # What no memory or a shuffle, which has no K, leaves without meaning is not refused.
    assert Experiment(ratio=0, start=9000).start == 9000
    assert Experiment(sampler="shuffle", batch=18, k=99).batch == 18


@settings(max_examples=200, deadline=None)
@given(batch=st.integers(2, 300), k=st.integers(1, 300))
def test_remedy_for_k_and_batch(batch, k):
    """Oracle: arithmetic. Refused exactly when K does not divide the batch; the remedy helps."""
    if batch % k == 0:
        assert Experiment(batch=batch, k=k).batch == batch
        return
    message = refusal(batch=batch, k=k)
    assert message.startswith((f"k={k} with batch={batch}: ", f"batch={batch} with k={k}: "))
    advised = int(re.search(r"(?:at most|say) (\d+)$", message)[1])
    assert Experiment(
        **({"batch": batch, "k": advised} if k > batch else {"batch": advised, "k": k})
    )


@settings(max_examples=200, deadline=None)
@given(ratio=st.floats(0.001, 1), n=st.integers(300, 70_000), batch=st.sampled_from([4, 16, 64]))
def test_memory_size(ratio, n, batch):
    """Oracle: a whole number nearest to ratio × N, refused exactly when less than the batch."""
    experiment, exact = Experiment(ratio=ratio, batch=batch), ratio * n
    # Half-way between two numbers either is nearest; batches are even, and Python rounds to even.
    nearest = [m for m in (math.floor(exact), math.ceil(exact)) if abs(m - exact) <= 0.5]
    if max(nearest) >= batch:
        assert experiment.memory_size(n) in nearest
        return
    with pytest.raises(ConfigError) as caught:
        experiment.memory_size(n)
    message = (
        rf"ratio={re.escape(str(ratio))} of {n} .*M = (\d+), .*batch={batch}: give a ratio of "
    )
    assert int(re.match(message, str(caught.value))[1]) in nearest


def test_memory_size_by_hand():
    """Oracle: by hand; no ratio, no memory, however small the training set."""
    assert Experiment(ratio=0.25).memory_size(1000) == 250
    assert Experiment(ratio=1).memory_size(59551) == 59551
    assert Experiment(ratio=0.016).memory_size(1000) == 16
    assert Experiment().memory_size(1000) == Experiment().memory_size(3) == 0
    with pytest.raises(ConfigError, match=r"M = 10, less than batch=16.*at least 0\.016, or 0"):
        Experiment(ratio=0.01).memory_size(1000)


def test_remedy_for_the_ratio():
    """Oracle: the ratio that the refusal advises is not refused, for any size of training set."""
    for batch in (8, 16, 64):
        for n in range(batch, 3000, 7):
            with pytest.raises(ConfigError) as caught:
                Experiment(batch=batch, ratio=1e-9).memory_size(n)
            advised = float(re.search(r"at least (\S+),", str(caught.value))[1])
            assert Experiment(batch=batch, ratio=advised).memory_size(n) >= batch


def test_frozen_and_changed_by_copy():
    """Oracle: the original keeps its value, and a change is validated alone and with the rest."""
    first = Experiment()
    with pytest.raises(Exception, match="frozen"):
        first.lr = 1.0
    assert first.replace(lr=0.5).lr == 0.5 and first.lr != 0.5
    with pytest.raises(ConfigError, match="lr=0"):
        first.replace(lr=0)
    with pytest.raises(ConfigError, match="k=4 with batch=2"):
        first.replace(batch=2)
    with pytest.raises(ConfigError, match="did you mean lr"):
        first.replace(lrr=0.5)


def test_json_round_trip():
    """Oracle: equality, with JSON's lists for tuples; what JSON holds is validated too."""
    first = Experiment(drift=(1, 10), ratio=0.1, weights=None)
    assert Experiment.from_dict(json.loads(json.dumps(first.model_dump()))) == first
    with pytest.raises(ConfigError, match=r"drift.*='a'"):
        Experiment.from_dict({"drift": ["a"]})
    with pytest.raises(ConfigError, match="seeed=1.*seed"):
        Experiment.from_dict({"seeed": 1})
