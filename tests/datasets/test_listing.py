"""Tests of list files that are refused, each with the line at fault."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from tests.datasets.trees import SOP_HEAD, damageable
from xbmlib import datasets
from xbmlib.datasets import DatasetError, cars
from xbmlib.datasets.published import DISK


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "message"),
    [
        ("sop", "Ebay_train.txt", " 1 1 bicycle_final/000001_1", " 1 bicycle_final/000001_1",
         r"Ebay_train.txt, line 3: 3 columns, and there should be 4: image_id class_id"),
        ("sop", "Ebay_train.txt", "2 1 1 bicycle", "2 one 1 bicycle",
         r"Ebay_train.txt, line 3: 'one' is not a whole number"),
        ("sop", "Ebay_train.txt", "2 1 1 bicycle", f"2 {10**18} 1 bicycle",
         r"Ebay_train.txt, line 3: '10+' is not a whole number of at most 18 digits"),
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
         r"line 3: 'bicycle_final.*000004_1.JPG' holds a character"),
        ("sop", "Ebay_test.txt", "000004_1", "\0000004_1",
         r"line 3: 'bicycle_final/.x000004_1.JPG' holds a character"),
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
def test_lists_that_contradict_themselves(tmp_path, monkeypatch, name, file, old, new, message):
    """Oracle: the file, the line and the fault that the test put there."""
    folder = damageable(name, tmp_path, monkeypatch)
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


def test_a_byte_order_mark_is_skipped(tmp_path, monkeypatch):
    """Oracle: the lists without it give the same images and labels."""
    lists = {"sop": "Ebay_train.txt", "cub": "images.txt",
             "inshop": "Eval/list_eval_partition.txt",
             "vehicleid": "train_test_split/train_list.txt"}  # fmt: skip
    for name, file in lists.items():
        folder = damageable(name, tmp_path, monkeypatch)
        before = DISK[name].listing(folder)
        (folder / file).write_bytes(b"\xef\xbb\xbf" + (folder / file).read_bytes())
        after = DISK[name].listing(folder)
        assert after.paths.equals(before.paths) and after.labels.equal(before.labels)


@pytest.mark.parametrize("name", ["sop", "cub", "inshop"])
def test_names_with_spaces(tmp_path, monkeypatch, name):
    """Oracle: the file under its new name has the bytes of the old one, in its old row."""
    folder = damageable(name, tmp_path, monkeypatch)
    before = datasets.load(name, view="paper").train
    old = before.path(1)
    new = old.with_name(f"a  b {old.name}")
    old.rename(new)
    for places in DISK[name].files:
        for file in (folder / place for place in places if (folder / place).is_file()):
            file.write_text(file.read_text().replace(old.name, new.name, 1))
            break
    after = datasets.load(name, view="paper").train
    assert after.path(1) == new and after.labels.equal(before.labels)
    assert after.fetch(torch.arange(2)).shape[0] == 2


def test_what_cannot_be_seen_is_shown(tmp_path, monkeypatch):
    """Oracle: the escape of the character that the test put there."""
    file = damageable("cub", tmp_path, monkeypatch) / "image_class_labels.txt"
    file.write_text(file.read_text().replace("1 1", "\u200b1 1", 1), encoding="utf-8")
    with pytest.raises(DatasetError, match=r"image \\u200b1 stands where images.txt has 1"):
        datasets.load("cub", view="paper")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Ebay_test.txt: names no image"),
        (SOP_HEAD.encode(), "Ebay_test.txt: names no image"),
        (b"\xff\xfe", "Ebay_test.txt: cannot be read"),
    ],
)
def test_files_that_are_not_lists(tmp_path, monkeypatch, content, message):
    """Oracle: the name of the file."""
    (damageable("sop", tmp_path, monkeypatch) / "Ebay_test.txt").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        datasets.load("sop", view="paper")


def test_a_part_with_no_image(tmp_path, monkeypatch):
    """Oracle: the name of the part."""
    folder = damageable("inshop", tmp_path, monkeypatch)
    file = folder / "Eval" / "list_eval_partition.txt"
    file.write_text(file.read_text().replace("gallery", "query"))
    with pytest.raises(DatasetError, match="partition.txt: no image is for 'gallery'"):
        datasets.load("inshop", view="paper")


def test_damaged_annotations_of_cars(tmp_path, monkeypatch):
    """Oracle: the file, and the entry that was damaged."""
    file = damageable("cars", tmp_path, monkeypatch) / "cars_annos.mat"
    for content in (b"no matlab", b""):
        file.write_bytes(content)
        with pytest.raises(DatasetError, match=r"cars_annos.mat: cannot be read .*copy it again"):
            datasets.load("cars", view="paper")
    savemat(file, {"other": 1})
    with pytest.raises(DatasetError, match=r"cannot be read as cars_annos.mat .*annotations"):
        datasets.load("cars", view="paper")
    fields = [("relative_im_path", "O"), ("class", "O")]
    for entry, message in [
        (("car_ims/../a.jpg", 1), "entry|line 2: '../a.jpg' leads out"),
        (("a.jpg", 1), "line 2: 'a.jpg' should start with 'car_ims/'"),
        (("car_ims/a.jpg", "x"), "line 2: 'x' is not a whole number"),
    ]:
        savemat(file, {"annotations": np.array([("car_ims/000001.jpg", 1), entry], fields)})
        with pytest.raises(DatasetError, match=message):
            datasets.load("cars", view="paper")


PROGRAMS = {
    "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)": "its reader was ended by SIGSEGV",
    "import os, signal; os.kill(os.getpid(), signal.SIGBUS)": "its reader was ended by SIGBUS",
    "while True: pass": "its reader had not ended after 3 s",
    "import sys; sys.exit('Oops: broken')": "Oops: broken",
}


@pytest.mark.parametrize("code", PROGRAMS)
def test_a_crash_of_the_reader_of_cars_is_one_line(tmp_path, monkeypatch, code):
    """Oracle: the signal, the time limit or the words that the reader was made to end with."""
    file = damageable("cars", tmp_path, monkeypatch) / "cars_annos.mat"
    (tmp_path / "program.py").write_text(code)
    monkeypatch.setattr(cars, "PROGRAM", tmp_path / "program.py")
    monkeypatch.setattr(cars, "SECONDS", 3)
    wanted = rf"^{file}: cannot be read as cars_annos.mat \({PROGRAMS[code]}\); copy it again$"
    with pytest.raises(DatasetError, match=wanted):
        datasets.load("cars", view="paper")


def test_mutations_of_the_annotations_of_cars(tmp_path, monkeypatch):
    """Oracle: the annotations, or DatasetError with the file; this process lives on, in a time
    that the limit bounds. 12 seeded mutations of the bytes behind the file's header.
    """
    file = damageable("cars", tmp_path, monkeypatch) / "cars_annos.mat"
    whole = file.read_bytes()
    monkeypatch.setattr(cars, "SECONDS", 20)
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(12):
        content = bytearray(whole)
        for at in random.integers(128, len(whole), 4):
            content[at] = random.integers(256)
        file.write_bytes(content)
        try:
            assert len(DISK["cars"].listing(file.parent).labels) == 24
        except DatasetError as error:
            refused += str(file) in str(error)
    assert refused
