"""Tests of the readers of the published data sets, on small trees in their layouts."""

import hashlib
import re

import pytest
import torch

from tests.datasets.trees import (
    TREES,
    cub_tree,
    damageable,
    inshop_tree,
    paths_of,
    sop_tree,
    vehicleid_tree,
)
from xbmlib import datasets
from xbmlib.datasets.published import DISK
from xbmlib.datasets.views import VIEWS
from xbmlib.training.callbacks.evaluation import evaluate


@pytest.mark.parametrize(
    ("name", "pattern", "train", "test"),
    [
        ("sop", r"bicycle_final/(\d{6})_\d.JPG", {1, 2, 3}, {4, 5, 6}),
        ("inshop", r"img/WOMEN/Dresses/id_(\d{8})/\d\d_1_front.jpg", {1, 2, 3}, {4, 5, 6}),
        ("vehicleid", r"image/(\d{4})\d{3}.jpg", {1, 2, 3, 4}, {5, 6, 7, 8}),
        ("cub", r"images/(\d{3}).Some_Bird/.*.jpg", {1, 2, 3}, {101, 102, 103}),
        ("cars", r"car_ims/\d{6}.jpg", {1, 2, 3}, {99, 100, 101}),
    ],
)
def test_trees_are_read(data, name, pattern, train, test):
    """Oracle: the names of the files, which state the class; In-shop's are numbered in order."""
    of = datasets.load(name, view="paper")
    assert of.name == name and of.ks == DISK[name].ks
    shift = 1 if name == "inshop" else 0  # id_00000001 is class 0
    assert set((of.train.labels + shift).tolist()) == train
    assert set((of.query.labels + shift).tolist()) == test
    assert of.train.labels.dtype == torch.int64
    parts = [of.train, of.query, *([of.gallery] if of.gallery else [])]
    for part in parts:
        for path, label in zip(paths_of(part), part.labels.tolist(), strict=True):
            found = re.fullmatch(pattern, path)
            assert found and (data / DISK[name].folders[0] / path).is_file()
            assert not found.groups() or int(found[1]) == label + shift
    images = sum(len(part) for part in parts)
    assert images == len(list((data / DISK[name].folders[0]).rglob("*.[jJ][pP][gG]")))
    assert of.train.fetch(torch.arange(4)).shape == (4, 3, 224, 224)


def test_the_k_of_recall():
    """Oracle: Section 4.2's tables, and the literature's for birds and cars."""
    assert {name: of.ks for name, of in DISK.items()} == {
        "sop": (1, 10, 100, 1000),
        "inshop": (1, 10, 20, 30, 40, 50),
        "vehicleid": (1, 5),
        "cub": (1, 2, 4, 8),
        "cars": (1, 2, 4, 8),
    }


def test_cars_classes_are_the_annotations(data):
    """Oracle: the file's own rows: class 1 has the images 1 to 4, class 99 the images 13 to 16."""
    of = datasets.load("cars", view="paper")
    assert paths_of(of.train)[:5] == [f"car_ims/{i:06}.jpg" for i in range(1, 6)]
    assert of.train.labels[:5].tolist() == [1, 1, 1, 1, 2]
    assert paths_of(of.query)[0] == "car_ims/000013.jpg" and of.query.labels[0] == 99


def test_in_shop_has_queries_and_a_gallery(data):
    """Oracle: the tree: the first two images of each test class are queries, the others gallery."""
    of = datasets.load("inshop", view="released")
    assert [re.search(r"/0(\d)_1", path)[1] for path in paths_of(of.query)] == ["0", "1"] * 3
    assert [re.search(r"/0(\d)_1", path)[1] for path in paths_of(of.gallery)] == ["2", "3"] * 3
    assert of.query.classes.tolist() == of.gallery.classes.tolist() and not of.lists


def test_lists_of_vehicle_id_need_not_contain_one_another(data):
    """Oracle: the list files, line by line; each is evaluated separately."""
    of = datasets.load("vehicleid", view="paper")
    assert list(of.lists) == ["small", "medium", "large"] and of.gallery is None
    union = set()
    embedding = torch.nn.functional.normalize(
        torch.randn(len(of.query), 8, generator=torch.Generator().manual_seed(0)), dim=1
    )
    measured = evaluate(of, lambda images: embedding)
    for name, count in (("small", 800), ("medium", 1600), ("large", 2400)):
        file = data / "VehicleID_V1.0" / "train_test_split" / f"test_list_{count}.txt"
        lines = [line.split() for line in file.read_text().splitlines()]
        part = of.query.select(of.lists[name])
        assert paths_of(part) == [f"image/{image}.jpg" for image, _ in lines]
        assert part.labels.tolist() == [int(label) for _, label in lines]
        union |= set(paths_of(part))
        s = embedding[of.lists[name]] @ embedding[of.lists[name]].T
        nearest = s.fill_diagonal_(-9).argmax(1)
        hits = (part.labels[nearest] == part.labels).float().mean()
        assert measured[f"{name} R@1"] == pytest.approx(float(hits))
    assert set(paths_of(of.query)) == union and len(of.query) == len(union) == 12


@pytest.mark.parametrize("name", TREES)
def test_validation_takes_training_classes(data, name):
    """Oracle: sets; a fifth of the classes, leave-one-out, no list."""
    test, held = (datasets.load(name, split, "paper") for split in ("test", "validation"))
    kept, out = (set(part.classes.tolist()) for part in (held.train, held.query))
    assert kept.isdisjoint(out) and kept | out == set(test.train.classes.tolist())
    assert len(out) == 1 and held.gallery is None and not held.lists
    assert held.fingerprint == test.fingerprint


@pytest.mark.parametrize("lists", ["Eval", "Anno", "."])
@pytest.mark.parametrize("images", ["img", "img_highres", "Img/img"])
def test_in_shop_as_it_is_unpacked(tmp_path, monkeypatch, lists, images):
    """Oracle: the tree, wherever list and images are; XBM_DATA may name the folder itself."""
    folder = damageable("inshop", tmp_path, monkeypatch, lists=lists, folder_of_images=images)
    for named in (tmp_path, folder):
        monkeypatch.setenv("XBM_DATA", str(named))
        of = datasets.load("inshop", view="paper")
        assert all(path.startswith(f"{images}/WOMEN/") for path in paths_of(of.query))
        assert of.gallery.fetch(torch.arange(1)).shape == (1, 3, 224, 224)


def test_in_shops_two_sizes_have_different_fingerprints(tmp_path, monkeypatch):
    """Oracle: inequality; the place of the same folder makes no difference."""
    found = {}
    for images in ("img", "Img/img", "img_highres"):
        damageable("inshop", tmp_path / images, monkeypatch, folder_of_images=images)
        found[images] = datasets.load("inshop", view="paper").fingerprint
    assert found["img"] == found["Img/img"] != found["img_highres"]


def test_lists_of_vehicle_id_at_top_level(tmp_path, monkeypatch):
    """Oracle: the usual layout gives the same images, lists and fingerprint."""
    damageable("vehicleid", tmp_path / "a", monkeypatch)
    usual = datasets.load("vehicleid", view="paper")
    damageable("vehicleid", tmp_path / "b", monkeypatch, lists=".")
    top = datasets.load("vehicleid", view="paper")
    assert paths_of(usual.query) == paths_of(top.query) and usual.fingerprint == top.fingerprint


def test_fingerprints_are_of_lists_and_view(tmp_path, monkeypatch):
    """Oracle: SHA-256 over lengths and contents, by hand; images are not read."""
    folder = damageable("sop", tmp_path, monkeypatch)
    found = {view: datasets.load("sop", view=view).fingerprint for view in VIEWS}
    assert len(set(found.values())) == len(VIEWS)
    lists = [(folder / f"Ebay_{part}.txt").read_bytes() for part in ("train", "test")]
    parts = [b"paper", b"", b"", *lists]
    by_hand = hashlib.sha256(b"".join(len(p).to_bytes(8, "big") + p for p in parts)).hexdigest()
    assert found["paper"] == by_hand
    (folder / "bicycle_final" / "000001_0.JPG").write_bytes(b"")
    assert datasets.load("sop", view="paper").fingerprint == by_hand


def test_trees_take_other_sizes(tmp_path):
    """Oracle: the number of files requested."""
    for make in (sop_tree, inshop_tree, vehicleid_tree, cub_tree):
        folder = make(tmp_path / make.__name__, classes=4, images=2)
        assert len(list(folder.rglob("*.[jJ][pP][gG]"))) == 8
