"""Tests of what is checked before a data set on disk is used: folder, files, view, counts."""

import itertools
import shutil
import warnings

import pytest

from tests.datasets.trees import SOP_HEAD, TREES, damageable, write_photo
from xbmlib import datasets
from xbmlib.datasets import DatasetError
from xbmlib.datasets.published import DISK


def test_xbm_data_has_to_be_set(monkeypatch, tmp_path):
    """Oracle: the variable, and the remedy."""
    monkeypatch.delenv("XBM_DATA", raising=False)
    with pytest.raises(DatasetError, match="XBM_DATA is not set: export XBM_DATA="):
        datasets.load("sop", view="paper")
    monkeypatch.setenv("XBM_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DatasetError, match="XBM_DATA=.*nowhere: no such folder"):
        datasets.root()


@pytest.mark.parametrize("name", TREES)
def test_a_missing_data_set_is_reported_with_its_layout(monkeypatch, tmp_path, name):
    """Oracle: every list file's usual place, the layout and the source."""
    monkeypatch.setenv("XBM_DATA", str(tmp_path))
    of = DISK[name]
    with pytest.raises(DatasetError) as caught:
        datasets.load(name, view="paper")
    for wanted in (*(places[0] for places in of.files), of.folders[0], of.layout, of.source):
        assert wanted in str(caught.value)


def test_a_missing_list_is_named(tmp_path, monkeypatch):
    """Oracle: the one that was removed, and the folder that lacks it."""
    folder = damageable("sop", tmp_path, monkeypatch)
    (folder / "Ebay_test.txt").unlink()
    with pytest.raises(DatasetError, match="Online_Products: holds no .*: Ebay_test.txt missing"):
        datasets.load("sop", view="paper")


def test_missing_images_are_reported_at_once(tmp_path, monkeypatch):
    """Oracle: the first path of the list, before anything is trained."""
    folder = damageable("vehicleid", tmp_path, monkeypatch)
    shutil.rmtree(folder / "image")
    with pytest.raises(DatasetError, match=r"image/0001000.jpg: missing.*should hold .*image/"):
        datasets.load("vehicleid", view="paper")


def test_views_have_to_suit_the_data_set(data):
    """Oracle: the message names the value and the known ones."""
    with pytest.raises(
        DatasetError, match="view='rendered': sop has no such view.*paper, released"
    ):
        datasets.load("sop")
    with pytest.raises(
        DatasetError, match="view='paper': hanzi has no such view; known: rendered$"
    ):
        datasets.load("hanzi", view="paper")
    with pytest.raises(DatasetError, match="split='validaton'.*test, validation"):
        datasets.load("sop", "validaton", "paper")
    with pytest.raises(DatasetError, match="data='sopp'.*hanzi.*sop"):
        datasets.load("sopp", view="paper")


def full_lists(folder, train, test):
    """SOP's lists of (images, classes) in training and test; only their first images exist."""
    label = itertools.count(1)
    for part, (images, classes) in (("train", train), ("test", test)):
        ids = [next(label) for _ in range(classes)]
        rows = [f"{i} {ids[i % classes]} 1 a/{part}{i}.JPG\n" for i in range(images)]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"Ebay_{part}.txt").write_text(SOP_HEAD + "".join(rows))
        write_photo(folder / "a" / f"{part}0.JPG", 0, 0)


def test_complete_trees_are_compared_with_the_paper(tmp_path, monkeypatch):
    """Oracle: the paper's counts: silent where they agree, otherwise both numbers."""
    monkeypatch.setenv("XBM_DATA", str(tmp_path))
    full_lists(tmp_path / "SOP", (59_551, 11_318), (60_502, 11_316))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert datasets.differences(datasets.load("sop", view="paper")) == []
    full_lists(tmp_path / "SOP", (59_551, 11_318), (60_500, 11_315))
    message = "test: 60,500 images of 11,315 classes, published are 60,502 of 11,316"
    with pytest.warns(UserWarning, match=message):
        of = datasets.load("sop", view="paper")
    assert datasets.differences(of) == [f"Stanford Online Products, {message}"]


def test_small_trees_are_loaded_without_a_warning(data):
    """Oracle: no warning from load; from differences, one line for each part that differs."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = {name: datasets.load(name, view="paper") for name in TREES}
    lines = {name: len(datasets.differences(of)) for name, of in loaded.items()}
    # VehicleID's four parts, and which version has which counts.
    assert lines == {"sop": 2, "inshop": 3, "vehicleid": 5, "cub": 2, "cars": 2}
    note = datasets.differences(loaded["vehicleid"])[-1]
    assert "7,332 / 12,995 / 20,038" in note and "6,493 / 13,377 / 19,777" in note
    assert datasets.differences(datasets.load("scripts")) == []
