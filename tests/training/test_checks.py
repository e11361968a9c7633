"""Tests of what is refused before the first step."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.datasets.trees import write_photo
from xbmlib import datasets
from xbmlib.datasets import DatasetError, ImageFiles, ImageSet, Retrieval
from xbmlib.datasets.parts import Parts, retrieval
from xbmlib.datasets.views import VIEWS
from xbmlib.training.checks import check_fit
from xbmlib.training.experiment import ConfigError, Experiment
from xbmlib.training.run import identify, read_experiment, run_experiment
from xbmlib.training.store import RunStore
from xbmlib.training.trainer import Trainer

E = Experiment(data="made", batch=4, k=2, steps=2, weights=None, dim=8)


def images(labels, channels=1):
    """Black images of these labels."""
    labels = torch.tensor(labels, dtype=torch.int64)
    return ImageSet(torch.zeros(len(labels), channels, 32, 32, dtype=torch.uint8), labels)


def made(**changed):
    """Two training classes and two test classes of three images each, with some parts changed."""
    parts = {"train": images([0, 0, 0, 1, 1, 1]), "query": images([2, 2, 2, 3, 3, 3])}
    parts |= {"gallery": None, "ks": (1, 2), "fingerprint": "made", "lists": {}}
    return Retrieval("made", **(parts | changed))


def of(pixels, labels):
    """Images as a user may make them."""
    return ImageSet(torch.zeros(*pixels, dtype=torch.uint8), torch.tensor(labels))


SIX = [0, 0, 0, 1, 1, 1]
FAULTS = [
    ({"query": of((6, 1, 32, 32), [0.0, 0, 0, 1, 1, 1])}, {}, "queries: labels of torch.float32"),
    ({"query": of((6, 1, 32, 32), [[i] for i in SIX])}, {}, r"queries: labels of shape \(6, 1\)"),
    ({"query": of((5, 1, 32, 32), SIX)}, {}, "queries: 5 images and 6 labels"),
    ({"train": of((7, 1, 32, 32), SIX)}, {}, "training images: 7 images and 6 labels"),
    ({"gallery": of((6, 32, 32), [2, 3] * 3)}, {}, r"gallery: images of torch.uint8 .*\(6, 32, 32"),
    ({"train": ImageSet(torch.zeros(6, 1, 32, 32), torch.tensor(SIX))}, {}, "of torch.float32"),
    ({"query": of((6, 1, 28, 32), SIX)}, {}, "28×32 and 32×32 pixels"),
    ({"lists": {"small": torch.tensor([0, 6])}}, {}, "list 'small': .* 1 of them outside 0 to 5"),
    ({"lists": {"small": torch.tensor([0.0, 1])}}, {}, "list 'small': rows of torch.float32"),
    ({"lists": {"small": torch.tensor([0, 3])}}, {}, "list 'small': 2 images and no two of one"),
    ({"lists": {"small": torch.tensor([], dtype=torch.int64)}}, {}, "list 'small': 0 images"),
    ({"query": images([2, 3, 4])}, {}, "queries: 3 images and no two of one class"),
    ({"query": images([])}, {}, "no query"),
    ({"train": images([])}, {}, "no training image"),
    ({"gallery": images([])}, {}, "no query has an image of its class in the gallery"),
    ({"gallery": images([4, 4])}, {}, "no query has an image of its class in the gallery"),
    ({"ks": (2, 4)}, {}, r"ks=\(2, 4\): .*among them 1"),
    ({"ks": ()}, {}, r"ks=\(\): "),
    ({"ks": (1, 0)}, {}, r"ks=\(1, 0\): .*at least 1"),
    ({"ks": (1, 1.5)}, {}, r"ks=\(1, 1.5\): .*integers"),
    ({"gallery": images([2, 3], channels=3)}, {}, "1 and 3 channels"),
    ({"query": images([2, 2, 3, 3])}, {"neighbours": 1}, "neighbours=1: .* it can find 3"),
    ({"gallery": images([2, 2, 3])}, {"neighbours": 9}, "neighbours=9: .* it can find 3"),
    ({}, {"sampler": "shuffle", "batch": 7}, 'batch=7 with sampler="shuffle": .*at most 6'),
    ({}, {"batch": 6}, "batch=6 with k=2 takes more classes than the 2"),
    ({}, {"ratio": 0.5, "start": 0}, "ratio=0.5 of 6 training images is M = 3"),
    ({}, {"backbone": "resnet50"}, 'backbone="resnet50" takes images of 3 .* have 1: give compact'),
    (
        {"train": images([0, 0, 1, 1], 2), "query": images([2, 2], 2)},
        {},
        'backbone="compact" takes images of 1 or 3 .* have 2: no backbone',
    ),
]


@pytest.mark.parametrize(("parts", "fields", "message"), FAULTS)
def test_refused_before_the_first_step(parts, fields, message, monkeypatch, tmp_path):
    """Oracle: the fault that was built in, by its value: from identify, from a run, which leaves
    its store as it was, and from a trainer. Without the fault, identify gives an id.
    """
    monkeypatch.setattr(datasets, "load", lambda *_: made(**parts))
    e = E.replace(**fields)
    with pytest.raises((ConfigError, DatasetError), match=message):
        identify(e)
    with pytest.raises((ConfigError, DatasetError), match=message):
        run_experiment(e, RunStore(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()
    with pytest.raises((ConfigError, DatasetError), match=message):
        Trainer(e, made(**parts), tmp_path / "state.pt")
    monkeypatch.setattr(datasets, "load", lambda *_: made())
    assert len(identify(E)) == 16


def test_what_just_fits_is_trained(monkeypatch, tmp_path):
    """Oracle: the smallest sets that each protocol can measure; the run ends, with its R@1."""
    least = made(
        query=images([2, 2, 3, 3, 4]), lists={"small": torch.tensor([0, 1])}, ks=(np.int64(1),)
    )
    monkeypatch.setattr(datasets, "load", lambda *_: least)
    e = E.replace(neighbours=1, sampler="shuffle", batch=6)
    run = run_experiment(e, RunStore(tmp_path), checkpoint_steps=1)
    assert {"R@1", "small R@1", "small, one per class R@1"} <= run.recall.keys()
    assert len(run.neighbours) == 4


def test_a_validation_split_of_no_class():
    """Oracle: a fifth of 2 classes rounds to 0, of 3 to 1."""
    for classes, held_out in ((2, 0), (3, 1)):
        all_images = images([*range(classes)] * 2)
        parts = Parts(torch.arange(2 * classes), torch.arange(2 * classes))
        if held_out:
            split = retrieval("x", all_images, parts, (1,), "", "validation")
            assert len(split.query.classes) == held_out
        else:
            with pytest.raises(DatasetError, match='split="validation".* of 2 is none.*at least 3'):
                retrieval("x", all_images, parts, (1,), "", "validation")


def test_images_of_another_view(tmp_path):
    """Oracle: both views, by name: files would be cropped twice, images in memory not at all."""
    write_photo(tmp_path / "a.jpg", 0, 0, (40, 40))
    labels = torch.tensor([0, 0, 1, 1])
    files = ImageFiles(str(tmp_path), [Path("a.jpg")] * 4, labels, VIEWS["released"])
    data = made(train=files, query=files)
    e = E.replace(backbone="resnet50")
    with pytest.raises(ConfigError, match=r"view='rendered', .* read by 'released': give"):
        check_fit(e, data)
    check_fit(e.replace(view="released"), data)
    with pytest.raises(ConfigError, match=r"view='paper', .* read by 'rendered': give"):
        check_fit(E.replace(view="paper"), made())
    with pytest.raises(DatasetError, match="view='paper': give one of xbmlib.datasets.views.VIEWS"):
        ImageFiles(tmp_path, ["a.jpg"], labels[:1], "paper")


def test_the_data_of_another_name(tmp_path):
    """Oracle: both names; nothing of a run on one data set is recorded under another's name."""
    with pytest.raises(ConfigError, match=r"^data='hanzi', .* of 'made': give .*'made'"):
        Trainer(E.replace(data="hanzi"), made(), tmp_path / "state.pt")
    assert Trainer(E, made(), tmp_path / "state.pt").experiment.data == "made"


@pytest.mark.parametrize("steps", [0, -1, 1.5])
def test_steps_between_checkpoints(steps, tmp_path):
    """Oracle: the value in the message, from both ways to train."""
    with pytest.raises(
        ConfigError, match=f"checkpoint_steps={steps}: give a whole number of at least 1"
    ):
        run_experiment(E, RunStore(tmp_path), checkpoint_steps=steps)
    with pytest.raises(
        ConfigError, match=f"checkpoint_steps={steps}: give a whole number of at least 1"
    ):
        Trainer(E, made(), tmp_path / "state.pt").train(steps)


@pytest.mark.parametrize("below", ["", "runs"])
def test_a_store_that_is_a_file(below, tmp_path):
    """Oracle: the file, whether it is the store itself or stands above it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"store .*: .*/file is a file; give a folder"):
        run_experiment(E, RunStore(tmp_path / "file" / below))


def test_a_store_of_an_impossible_name(tmp_path):
    """Oracle: the file system's limit, 255 characters."""
    with pytest.raises(ConfigError, match=r"store .*: File name too long; give a folder"):
        run_experiment(E, RunStore(tmp_path / ("a" * 256)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"seed": 1, "seed": 2}', r"e\.json: 'seed' is given 2 times; give it once"),
        ("[" * 100_000 + "]" * 100_000, r"e\.json: JSON nested too deeply"),
        ('{"seed": ' + "1" * 5000 + "}", r"e\.json: .*digits"),
        ('{"dim": 100000000000}', r"e\.json: dim=100000000000: .*less than or equal to"),
        ('{"seed": 18446744073709551616}', r"seed=18446744073709551616: .*less than"),
        ("[1]", r"e\.json: give an object"),
        ("{", r"e\.json: .*give a JSON file of an experiment"),
    ],
)
def test_files_of_an_experiment(text, message, tmp_path):
    """Oracle: one line, with the file and the fault written into it."""
    (tmp_path / "e.json").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_experiment(tmp_path / "e.json")
    assert len(str(caught.value).splitlines()) == 1


def test_integers_of_numpy_are_integers():
    """Oracle: the experiment of Python's integers; its JSON is the same text."""
    theirs = Experiment(batch=np.int32(8), seed=np.uint64(3), drift=(np.int64(2), 5))
    ours = Experiment(batch=8, seed=3, drift=(2, 5))
    assert theirs == ours
    assert json.dumps(theirs.model_dump()) == json.dumps(ours.model_dump())
    with pytest.raises(ConfigError, match="batch="):
        Experiment(batch=np.float32(8))
    with pytest.raises(ConfigError, match="batch="):
        Experiment(batch=np.bool_(True))
