"""Tests of the readers of the published data sets, on small trees in their layouts."""

import hashlib
import itertools
import re
import shutil
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from tests.datasets.trees import TREES, cub_tree, inshop_tree, sop_tree, vehicleid_tree, write_photo
from xbmlib import datasets
from xbmlib.datasets import DatasetError
from xbmlib.datasets.disk import DISK
from xbmlib.datasets.views import VIEWS
from xbmlib.training.evaluation import evaluate


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """A folder that holds all five."""
    folder = tmp_path_factory.mktemp("data")
    for tree in TREES.values():
        tree(folder)
    return folder


@pytest.fixture
def data(trees, monkeypatch):
    """XBM_DATA names that folder."""
    monkeypatch.setenv("XBM_DATA", str(trees))
    return trees


def tree(name, tmp_path, monkeypatch, **kind):
    """One tree to be damaged; returns the data set's own folder."""
    TREES[name](tmp_path, **kind)
    monkeypatch.setenv("XBM_DATA", str(tmp_path))
    return tmp_path / DISK[name].folders[0]


def names(images):
    """Paths of images as the tree made them, of the data set's folder on."""
    return [images.path(i).relative_to(images.root).as_posix() for i in range(len(images))]


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
    """Oracle: the names of the files, which tell the class; In-shop's are numbered in order."""
    of = datasets.load(name, view="paper")
    assert of.name == name and of.ks == DISK[name].ks
    shift = 1 if name == "inshop" else 0  # id_00000001 is class 0
    assert set((of.train.labels + shift).tolist()) == train
    assert set((of.query.labels + shift).tolist()) == test
    assert of.train.labels.dtype == torch.int64
    parts = [of.train, of.query, *([of.gallery] if of.gallery else [])]
    for part in parts:
        for path, label in zip(names(part), part.labels.tolist(), strict=True):
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
    assert names(of.train)[:5] == [f"car_ims/{i:06}.jpg" for i in range(1, 6)]
    assert of.train.labels[:5].tolist() == [1, 1, 1, 1, 2]
    assert names(of.query)[0] == "car_ims/000013.jpg" and of.query.labels[0] == 99


def test_in_shop_has_queries_and_a_gallery(data):
    """Oracle: the tree: the first two images of each test class are queries, the others gallery."""
    of = datasets.load("inshop", view="released")
    assert [re.search(r"/0(\d)_1", path)[1] for path in names(of.query)] == ["0", "1"] * 3
    assert [re.search(r"/0(\d)_1", path)[1] for path in names(of.gallery)] == ["2", "3"] * 3
    assert of.query.classes.tolist() == of.gallery.classes.tolist() and not of.lists


def test_lists_of_vehicle_id_need_not_hold_one_another(data):
    """Oracle: the list files, line by line; each is measured by itself."""
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
        assert names(part) == [f"image/{image}.jpg" for image, _ in lines]
        assert part.labels.tolist() == [int(label) for _, label in lines]
        union |= set(names(part))
        s = embedding[of.lists[name]] @ embedding[of.lists[name]].T
        nearest = s.fill_diagonal_(-9).argmax(1)
        hits = (part.labels[nearest] == part.labels).float().mean()
        assert measured[f"{name} R@1"] == pytest.approx(float(hits))
    assert set(names(of.query)) == union and len(of.query) == len(union) == 12


@pytest.mark.parametrize("name", TREES)
def test_validation_takes_training_classes(data, name):
    """Oracle: sets; a fifth of the classes, leave-one-out, no list."""
    test, held = (datasets.load(name, split, "paper") for split in ("test", "validation"))
    kept, out = (set(part.classes.tolist()) for part in (held.train, held.query))
    assert kept.isdisjoint(out) and kept | out == set(test.train.classes.tolist())
    assert len(out) == 1 and held.gallery is None and not held.lists
    assert held.fingerprint == test.fingerprint


@pytest.mark.parametrize("lists", ["Eval", "Anno", "."])
@pytest.mark.parametrize("pictures", ["img", "img_highres", "Img/img"])
def test_in_shop_as_it_is_unpacked(tmp_path, monkeypatch, lists, pictures):
    """Oracle: the tree, wherever the list and the images lie; the folder itself does as well."""
    folder = tree("inshop", tmp_path, monkeypatch, lists=lists, pictures=pictures)
    for named in (tmp_path, folder):
        monkeypatch.setenv("XBM_DATA", str(named))
        of = datasets.load("inshop", view="paper")
        assert all(path.startswith(f"{pictures}/WOMEN/") for path in names(of.query))
        assert of.gallery.fetch(torch.arange(1)).shape == (1, 3, 224, 224)


def test_in_shops_two_sizes_have_fingerprints_of_their_own(tmp_path, monkeypatch):
    """Oracle: inequality; where the same folder lies tells nothing."""
    found = {}
    for pictures in ("img", "Img/img", "img_highres"):
        tree("inshop", tmp_path / pictures, monkeypatch, pictures=pictures)
        found[pictures] = datasets.load("inshop", view="paper").fingerprint
    assert found["img"] == found["Img/img"] != found["img_highres"]


def test_lists_of_vehicle_id_at_top_level(tmp_path, monkeypatch):
    """Oracle: the usual layout gives the same images, lists and fingerprint."""
    tree("vehicleid", tmp_path / "a", monkeypatch)
    usual = datasets.load("vehicleid", view="paper")
    tree("vehicleid", tmp_path / "b", monkeypatch, lists=".")
    top = datasets.load("vehicleid", view="paper")
    assert names(usual.query) == names(top.query) and usual.fingerprint == top.fingerprint


def test_fingerprints_are_of_lists_and_view(tmp_path, monkeypatch):
    """Oracle: SHA-256 over lengths and contents, by hand; images are not read."""
    folder = tree("sop", tmp_path, monkeypatch)
    found = {view: datasets.load("sop", view=view).fingerprint for view in VIEWS}
    assert len(set(found.values())) == len(VIEWS)
    lists = [(folder / f"Ebay_{part}.txt").read_bytes() for part in ("train", "test")]
    parts = [b"paper", b"", b"", *lists]
    by_hand = hashlib.sha256(b"".join(len(p).to_bytes(8, "big") + p for p in parts)).hexdigest()
    assert found["paper"] == by_hand
    (folder / "bicycle_final" / "000001_0.JPG").write_bytes(b"")
    assert datasets.load("sop", view="paper").fingerprint == by_hand


SOP_HEAD = "image_id class_id super_class_id path\n"


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "message"),
    [
        ("sop", "Ebay_train.txt", " 1 1 bicycle_final/000001_1", " 1 bicycle_final/000001_1",
         r"Ebay_train.txt, line 3: 3 columns, and there should be 4: image_id class_id"),
        ("sop", "Ebay_train.txt", "2 1 1 bicycle", "2 one 1 bicycle",
         r"Ebay_train.txt, line 3: 'one' is no whole number"),
        ("sop", "Ebay_train.txt", "2 1 1 bicycle", f"2 {10**18} 1 bicycle",
         r"Ebay_train.txt, line 3: '10+' is no whole number of 18 digits"),
        ("sop", "Ebay_test.txt", SOP_HEAD, "",
         r"Ebay_test.txt, line 1: '13 4 1 bicycle.*' should be the header 'image_id class_id"),
        ("sop", "Ebay_test.txt", "bicycle_final/000004_1", "../000004_1",
         r"Ebay_test.txt, line 3: '../000004_1.JPG' leads out of the folder"),
        ("sop", "Ebay_test.txt", "bicycle_final/000004_1", "/etc/000004_1",
         r"Ebay_test.txt, line 3: '/etc/000004_1.JPG' leads out of the folder"),
        ("sop", "Ebay_test.txt", "bicycle_final/000004_1", "C:/000004_1",
         r"Ebay_test.txt, line 3: 'C:/000004_1.JPG' leads out of the folder"),
        ("sop", "Ebay_test.txt", "bicycle_final/000004_1", "a/../../000004_1",
         r"line 3: 'a/../../000004_1.JPG' leads out of the folder"),
        ("sop", "Ebay_test.txt", "bicycle_final/000004_1", "bicycle_final\\000004_1",
         r"line 3: 'bicycle_final.*000004_1.JPG' holds what no path"),
        ("sop", "Ebay_test.txt", "000004_1", "\0000004_1",
         r"line 3: 'bicycle_final/.x000004_1.JPG' holds what no path"),
        ("sop", "Ebay_test.txt", "000004_1", "000004_0",
         r"Ebay_test.txt, line 3: .*000004_0.JPG' again: it is on line 2 of Ebay_test.txt"),
        ("sop", "Ebay_test.txt", "13 4 1 bicycle_final/000004_0", "13 1 1 bicycle_final/000001_0",
         r"Ebay_test.txt, line 2: .*000001_0.JPG' again: it is on line 2 of Ebay_train.txt"),
        ("sop", "Ebay_test.txt", "13 4 1", "13 2 1",
         r"class 2 is in training and in test \(1 in all are\)"),
        ("inshop", "Eval/list_eval_partition.txt", "24\n", "23\n",
         r"partition.txt, line 1: '23' should be the number of images, and 24 follow"),
        ("inshop", "Eval/list_eval_partition.txt", "evaluation_status", "status",
         r"line 2: 'image_name item_id status' should be the header"),
        ("inshop", "Eval/list_eval_partition.txt", "id_00000004 query", "id_00000004 probe",
         r"line 15: evaluation_status 'probe' is none of train, query, gallery"),
        ("inshop", "Eval/list_eval_partition.txt", "img/WOMEN/Dresses/id_00000001/00", "im/x",
         r"line 3: 'im/x_1_front.jpg' should start with 'img/'"),
        ("inshop", "Eval/list_eval_partition.txt", "id_00000004 gallery", "id_00000001 gallery",
         r"class id_00000001 is in training and in test"),
        ("vehicleid", "train_test_split/test_list_800.txt", "0005001 5", "0005000 5",
         r"test_list_800.txt, line 2: '0005000.jpg' again: it is on line 1 of test_list_800.txt"),
        ("vehicleid", "train_test_split/test_list_1600.txt", "0005001 5", "0005001 6",
         r"test_list_1600.txt, line 1: '0005001.jpg' is of class 6, and of class 5 on line 2 of"),
        ("vehicleid", "train_test_split/test_list_800.txt", "0005000 5", "0001000 1",
         r"test_list_800.txt, line 1: '0001000.jpg' again: it is on line 1 of train_list.txt"),
        ("vehicleid", "train_test_split/train_list.txt", "0001000 1", "../0001000 1",
         r"train_list.txt, line 1: '../0001000.jpg' leads out of the folder"),
        ("cub", "image_class_labels.txt", "\n2 1\n", "\n3 1\n",
         r"image_class_labels.txt, line 2: image 3 stands where images.txt has 2"),
        ("cub", "image_class_labels.txt", "\n24 103\n", "\n",
         r"images.txt, line 24: the other list ends after 23 images"),
    ],
)  # fmt: skip
def test_lists_that_cannot_be_right(tmp_path, monkeypatch, name, file, old, new, message):
    """Oracle: the file, the line and what is wrong, as they were put there."""
    folder = tree(name, tmp_path, monkeypatch)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    with pytest.raises(DatasetError, match=message):
        datasets.load(name, view="paper")


CLASSES = st.sampled_from(["1", "2", "3", "-1", "x", "²", "1.5", ""])
PATHS = st.one_of(
    st.sampled_from(["a/b.JPG", "a/./b.JPG", "../b", "/b", "a//c", ".", "..", "a\\b", "", "a\0"]),
    st.text(max_size=8),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(CLASSES, PATHS), max_size=4), st.text(max_size=5))
def test_any_list_is_read_or_refused(tmp_path_factory, rows, end):
    """Oracle: DatasetError with a line or a part, or paths that stay below the folder."""
    folder = tmp_path_factory.mktemp("lists")
    lines = "".join(f"1 {label} 1 {path}\n" for label, path in rows)
    (folder / "Ebay_train.txt").write_text(SOP_HEAD + lines + end, encoding="utf-8")
    (folder / "Ebay_test.txt").write_text(f"{SOP_HEAD}9 9 9 z/z.JPG\n")
    try:
        listing = DISK["sop"].listing(folder)
    except DatasetError as error:
        assert "line" in str(error) or "image" in str(error)
        return
    paths = listing.paths.to_pylist()
    assert len(set(paths)) == len(paths) == len(rows) + 1
    assert all((folder / path).resolve().is_relative_to(folder) for path in paths)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Ebay_test.txt: names no image"),
        (SOP_HEAD.encode(), "Ebay_test.txt: names no image"),
        (b"\xff\xfe", "Ebay_test.txt: cannot be read"),
    ],
)
def test_lists_that_are_no_lists(tmp_path, monkeypatch, content, message):
    """Oracle: the file by its name."""
    (tree("sop", tmp_path, monkeypatch) / "Ebay_test.txt").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        datasets.load("sop", view="paper")


def test_a_part_with_no_image(tmp_path, monkeypatch):
    """Oracle: the part by its name."""
    folder = tree("inshop", tmp_path, monkeypatch)
    file = folder / "Eval" / "list_eval_partition.txt"
    file.write_text(file.read_text().replace("gallery", "query"))
    with pytest.raises(DatasetError, match="partition.txt: no image is for 'gallery'"):
        datasets.load("inshop", view="paper")


def test_cars_annotations_that_cannot_be_right(tmp_path, monkeypatch):
    """Oracle: the file, and the entry that was damaged."""
    file = tree("cars", tmp_path, monkeypatch) / "cars_annos.mat"
    for content in (b"no matlab", b""):
        file.write_bytes(content)
        with pytest.raises(DatasetError, match=r"cars_annos.mat: cannot be read .*copy it anew"):
            datasets.load("cars", view="paper")
    savemat(file, {"other": 1})
    with pytest.raises(DatasetError, match=r"cannot be read as cars_annos.mat .*annotations"):
        datasets.load("cars", view="paper")
    fields = [("relative_im_path", "O"), ("class", "O")]
    for entry, message in [
        (("car_ims/../a.jpg", 1), "entry|line 2: '../a.jpg' leads out"),
        (("a.jpg", 1), "line 2: 'a.jpg' should start with 'car_ims/'"),
        (("car_ims/a.jpg", "x"), "line 2: 'x' is no whole number"),
    ]:
        savemat(file, {"annotations": np.array([("car_ims/000001.jpg", 1), entry], fields)})
        with pytest.raises(DatasetError, match=message):
            datasets.load("cars", view="paper")


def test_xbm_data_has_to_be_set(monkeypatch, tmp_path):
    """Oracle: the variable, and what to do."""
    monkeypatch.delenv("XBM_DATA", raising=False)
    with pytest.raises(DatasetError, match="XBM_DATA is not set: export XBM_DATA="):
        datasets.load("sop", view="paper")
    monkeypatch.setenv("XBM_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DatasetError, match="XBM_DATA=.*nowhere: no such folder"):
        datasets.root()


@pytest.mark.parametrize("name", TREES)
def test_missing_data_sets_say_how_they_should_look(monkeypatch, tmp_path, name):
    """Oracle: every list file's usual place, the layout and the source."""
    monkeypatch.setenv("XBM_DATA", str(tmp_path))
    of = DISK[name]
    with pytest.raises(DatasetError) as caught:
        datasets.load(name, view="paper")
    for wanted in (*(places[0] for places in of.files), of.folders[0], of.layout, of.source):
        assert wanted in str(caught.value)


def test_a_missing_list_is_named(tmp_path, monkeypatch):
    """Oracle: the one that was removed, and the folder that lacks it."""
    folder = tree("sop", tmp_path, monkeypatch)
    (folder / "Ebay_test.txt").unlink()
    with pytest.raises(DatasetError, match="Online_Products: holds no .*: Ebay_test.txt missing"):
        datasets.load("sop", view="paper")


def test_missing_images_are_told_at_once(tmp_path, monkeypatch):
    """Oracle: the first path of the list, before anything is trained."""
    folder = tree("vehicleid", tmp_path, monkeypatch)
    shutil.rmtree(folder / "image")
    with pytest.raises(DatasetError, match=r"image/0001000.jpg: missing.*should hold .*image/"):
        datasets.load("vehicleid", view="paper")


def test_views_have_to_suit(data):
    """Oracle: the message names the value and the known ones."""
    with pytest.raises(DatasetError, match="view='drawn': sop is seen as .*paper, released"):
        datasets.load("sop")
    with pytest.raises(DatasetError, match="view='paper': hanzi is seen as one of: drawn"):
        datasets.load("hanzi", view="paper")
    with pytest.raises(DatasetError, match="split='validaton'.*test, validation"):
        datasets.load("sop", "validaton", "paper")
    with pytest.raises(DatasetError, match="data='sopp'.*hanzi.*sop"):
        datasets.load("sopp", view="paper")


def full_lists(folder, train, test):
    """SOP's lists with (images, classes) of training and test; their first images alone exist."""
    label = itertools.count(1)
    for part, (images, classes) in (("train", train), ("test", test)):
        ids = [next(label) for _ in range(classes)]
        rows = [f"{i} {ids[i % classes]} 1 a/{part}{i}.JPG\n" for i in range(images)]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"Ebay_{part}.txt").write_text(SOP_HEAD + "".join(rows))
        write_photo(folder / "a" / f"{part}0.JPG", 0, 0)


def test_whole_trees_are_held_against_the_paper(tmp_path, monkeypatch):
    """Oracle: the paper's counts: silent where they agree, both numbers where not."""
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


def test_small_trees_are_loaded_without_noise(data):
    """Oracle: no warning, and a line for each part that differs where it is asked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = {name: datasets.load(name, view="paper") for name in TREES}
    lines = {name: len(datasets.differences(of)) for name, of in loaded.items()}
    # VehicleID's four parts, and which version has which counts.
    assert lines == {"sop": 2, "inshop": 3, "vehicleid": 5, "cub": 2, "cars": 2}
    note = datasets.differences(loaded["vehicleid"])[-1]
    assert "7,332 / 12,995 / 20,038" in note and "6,493 / 13,377 / 19,777" in note
    assert datasets.differences(datasets.load("scripts")) == []


def test_trees_take_other_sizes(tmp_path):
    """Oracle: the number of files asked for."""
    for make in (sop_tree, inshop_tree, vehicleid_tree, cub_tree):
        folder = make(tmp_path / make.__name__, classes=4, images=2)
        assert len(list(folder.rglob("*.[jJ][pP][gG]"))) == 8
