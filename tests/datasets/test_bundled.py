"""Tests of the bundled data sets against the files' own columns."""

import hashlib
import re
import unicodedata
from collections import Counter
from functools import cache

import pyarrow.parquet as pq
import pytest
import torch
from torchvision.io import decode_webp

from xbmlib import datasets
from xbmlib.datasets import DatasetError, bundled


@pytest.fixture(scope="module")
def columns():
    """A function from a name to the file's columns as Python lists, read apart from the loader."""
    return cache(lambda name: pq.read_table(bundled.FOLDER / f"{name}.parquet").to_pydict())


def test_hanzi_has_the_shape_of_sop(columns):
    """Oracle: the file itself: 10,000 classes of 2 to 10 images, halves by class."""
    file = columns("hanzi")
    sizes = torch.tensor(file["label"]).bincount()
    assert len(sizes) == 10_000 and sizes.min() == 2 and sizes.max() == 10
    assert all("\u4e00" <= c <= "\u9fa5" for c in set(file["character"]))
    data = datasets.load("hanzi")
    assert len(data.train.classes) == len(data.query.classes) == 5_000
    assert len(data.train) + len(data.query) == len(file["label"])
    assert data.gallery is None and data.ks == (1, 10, 100, 1000)


def test_hangul_has_the_shape_of_vehicle_id(columns):
    """Oracle: the file itself: nested lists of 800, 1,600 and 2,400 classes, 4 to 13 images."""
    file = columns("hangul")
    sizes = torch.tensor(file["label"]).bincount()
    assert sizes.min() == 4 and sizes.max() == 13
    assert all("\uac00" <= c <= "\ud7a3" for c in set(file["character"]))
    data = datasets.load("hangul")
    assert len(data.train.classes) == 6_000 and data.gallery is None and data.ks == (1, 5)
    test = [i for i, s in enumerate(file["split"]) if s != "train"]
    held = ("small", "medium", "large")
    assert tuple(data.lists) == held
    for i, name in enumerate(held):
        wanted = [j for j, row in enumerate(test) if file["split"][row] in held[: i + 1]]
        assert data.lists[name].tolist() == wanted
        assert len(data.query.labels[data.lists[name]].unique()) == 800 * (i + 1)
    assert set(data.train.classes.tolist()).isdisjoint(data.query.classes.tolist())


@pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")
def test_emoji_has_the_shape_of_in_shop(columns):
    """Oracle: the file itself, and another decoder: every test class is on both sides."""
    file = columns("emoji")
    data = datasets.load("emoji")
    parts = {"train": data.train, "query": data.query, "gallery": data.gallery}
    assert set(file["split"]) == set(parts) and data.ks == (1, 10, 20, 30, 40, 50)
    for split, part in parts.items():
        rows = [i for i, s in enumerate(file["split"]) if s == split]
        assert part.labels.tolist() == [file["label"][i] for i in rows]
        for at in (0, len(rows) // 2, len(rows) - 1):
            webp = torch.frombuffer(bytearray(file["image"][rows[at]]), dtype=torch.uint8)
            pixels = decode_webp(webp)
            assert pixels.shape == (3, 64, 64)
            mean = torch.nn.functional.avg_pool2d(pixels.double(), 2)
            assert (255 - mean - part.images[at].double()).abs().max() <= 0.5
    assert data.query.classes.tolist() == data.gallery.classes.tolist()
    assert set(data.train.classes.tolist()).isdisjoint(data.query.classes.tolist())
    names = dict(zip(file["name"], file["label"], strict=True))
    assert len(names) == len(set(file["label"]))
    # One pair of a class became identical in compression: see the card.
    distinct = set(zip(file["label"], file["image"], strict=True))
    assert len(distinct) == len(file["label"]) - 1


@pytest.mark.parametrize("name", ["emoji", "hangul"])
def test_validation_takes_training_classes(name):
    """Oracle: sets; leave-one-out, no list."""
    test, validation = (datasets.load(name, split) for split in ("test", "validation"))
    held, kept = (set(p.classes.tolist()) for p in (validation.query, validation.train))
    assert held.isdisjoint(kept) and held | kept == set(test.train.classes.tolist())
    assert len(held) == round(0.2 * len(test.train.classes))
    assert validation.gallery is None and not validation.lists


def test_smoke_is_a_part_of_validation():
    """Oracle: sets, and the counts of the docstring."""
    validation, smoke = (datasets.load("hangul", split) for split in ("validation", "smoke"))
    for part, count in (("train", 1100), ("query", 200)):
        whole, some = (set(getattr(d, part).classes.tolist()) for d in (validation, smoke))
        assert some < whole and len(some) == count


@pytest.mark.parametrize("name", ["hanzi", "scripts"])
def test_the_loader_returns_the_files_images(name, columns):
    """Oracle: the raw bytes of each row, in the file's order."""
    file = columns(name)
    data = datasets.load(name)
    for part, split in ((data.train, "train"), (data.query, "test")):
        rows = [i for i, s in enumerate(file["split"]) if s == split]
        assert part.images.shape == (len(rows), 1, 32, 32)
        for at in (0, len(rows) // 2, len(rows) - 1):
            assert bytes(part.images[at].flatten().tolist()) == file["image"][rows[at]]
            assert int(part.labels[at]) == file["label"][rows[at]]


@pytest.mark.parametrize("name", ["hanzi", "hangul", "scripts"])
def test_images_are_distinct_and_not_blank(name, columns):
    """Oracle: sets; a character has one label, and no image of it occurs twice."""
    file = columns(name)
    assert len(set(zip(file["label"], file["image"], strict=True))) == len(file["label"])
    labels = dict(zip(file["character"], file["label"], strict=True))
    assert len(labels) == len(set(file["label"]))
    assert all(labels[c] == y for c, y in zip(file["character"], file["label"], strict=True))
    assert min(max(image) for image in file["image"]) > 127
    assert all(file["licence"]) and all(file["typeface"])


def test_scripts_hold_nothing_that_is_measured(columns):
    """Oracle: Unicode's names."""
    names = {unicodedata.name(c) for c in set(columns("scripts")["character"])}
    assert not [n for n in names if "CJK" in n or "HANGUL" in n]


def test_classes_are_disjoint():
    """Oracle: sets. Validation takes its classes from training, never from the test classes."""
    test, validation = (datasets.load("hanzi", split) for split in ("test", "validation"))
    parts = [set(p.classes.tolist()) for p in (validation.train, validation.query, test.query)]
    assert [len(p) for p in parts] == [4_000, 1_000, 5_000]
    assert len(set.union(*parts)) == 10_000
    assert parts[0] | parts[1] == set(test.train.classes.tolist())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[: len(content) // 2], "truncated or altered"),
        (lambda content: content[:-9] + b"x" + content[-8:], "truncated or altered"),
    ],
)
def test_damaged_files_are_refused(damage, message, tmp_path, monkeypatch):
    """Oracle: one error that names the file and the remedy."""
    content = (bundled.FOLDER / "hanzi.parquet").read_bytes()
    (tmp_path / "hanzi.parquet").write_bytes(damage(content))
    monkeypatch.setattr(bundled, "FOLDER", tmp_path)
    with pytest.raises(DatasetError, match=f"hanzi.parquet.*{message}.*git -C .* checkout"):
        datasets.load("hanzi")


def test_an_unreadable_file_is_refused(tmp_path, monkeypatch):
    """Oracle: the operating system's reason, and the remedy."""
    (tmp_path / "hanzi.parquet").mkdir()
    monkeypatch.setattr(bundled, "FOLDER", tmp_path)
    with pytest.raises(DatasetError, match="hanzi.parquet: cannot be read .*git -C .* checkout"):
        datasets.load("hanzi")


def test_without_the_bundled_images(tmp_path, monkeypatch):
    """Oracle: one line with the path, and the repository's folder that holds the file."""
    monkeypatch.setattr(bundled, "FOLDER", tmp_path)
    for name in bundled.BUNDLED:
        with pytest.raises(DatasetError, match="xbmlib/data of the repository") as caught:
            datasets.load(name)
        assert str(caught.value).startswith(f"{tmp_path / name}.parquet: not installed")
        assert "\n" not in str(caught.value)


def test_unknown_name():
    """Oracle: the message names the value and the known ones."""
    with pytest.raises(DatasetError, match="data='sopp'.*hanzi"):
        datasets.load("sopp")


def test_unknown_split():
    """Oracle: the message names the value and the known ones; nothing falls through to test."""
    with pytest.raises(DatasetError, match="split='validaton'.*test, validation"):
        datasets.load("hanzi", "validaton")


@pytest.mark.parametrize("name", ["hanzi", "emoji", "hangul", "scripts"])
def test_card_describes_the_file(name, columns):
    """Oracle: the file's own bytes and columns: fingerprint, counts and every licence."""
    card = (bundled.FOLDER / "CARDS.md").read_text(encoding="utf-8")
    content = (bundled.FOLDER / f"{name}.parquet").read_bytes()
    file = columns(name)
    style = "vendor" if name == "emoji" else "typeface"
    assert hashlib.sha256(content).hexdigest() in card
    for count in (len(file["label"]), len(set(file["label"])), len(set(file[style]))):
        assert f"{count:,}" in card
    assert all(f"`{licence}`" in card for licence in set(file["licence"]))


def test_card_counts_the_skin_tones(columns):
    """Oracle: the names of the file: classes with a tone, and those of the emoji that has most."""
    card = (bundled.FOLDER / "CARDS.md").read_text(encoding="utf-8")
    file = columns("emoji")
    names = set(dict(zip(file["label"], file["name"], strict=True)).values())
    toned = {name for name in names if "skin-tone" in name}
    plain = Counter(re.sub(r"-?(medium-)?(dark|light|medium)-skin-tone", "", n) for n in toned)
    most = max(plain.values()) + (max(plain, key=plain.get) in names)
    assert f"({len(toned):,} of {len(names):,})" in card and f"up to {most} classes" in card
