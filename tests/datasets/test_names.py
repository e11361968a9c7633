"""Tests of the names of classes."""

import unicodedata

import pyarrow.parquet as pq
import pytest

from xbmlib import datasets
from xbmlib.datasets.bundled import FOLDER
from xbmlib.datasets.names import class_names


@pytest.mark.parametrize("name", ["hanzi", "hangul"])
def test_a_character_is_found_again_by_its_name(name):
    """Oracle: Unicode's own look-up by name and by code point, for every class."""
    names = class_names(name)
    rows = pq.read_table(FOLDER / f"{name}.parquet", columns=["label", "character"]).to_pylist()
    assert names.keys() == {row["label"] for row in rows}
    for row in rows:
        character, word = names[row["label"]].split(" ")
        assert character == row["character"]
        if name == "hangul":
            assert unicodedata.lookup(f"HANGUL SYLLABLE {word.upper()}") == character
        else:
            assert chr(int(word.removeprefix("U+"), 16)) == character


def test_every_emoji_has_the_name_of_its_class():
    """Oracle: the labels of the data set itself; the words of the file."""
    names = class_names("emoji")
    data = datasets.load("emoji")
    assert set(data.query.labels.tolist()) <= names.keys()
    assert names[0] == "person dark skin tone blond hair"
    assert not any("-" in name for name in names.values())


def test_a_data_set_on_disk_has_no_names():
    """Oracle: the published lists, which number their classes."""
    assert class_names("sop") == {}
