"""Names of the classes of the bundled data sets."""

from __future__ import annotations

import unicodedata

import pyarrow.parquet as pq

from xbmlib.datasets.bundled import BUNDLED, FOLDER


def class_names(name: str) -> dict[int, str]:
    """The name of each class of a data set, by label.

    A Hangul syllable is named by its romanisation and any other character by its code point,
    after the character itself; an emoji by its vendors' name.

    Args:
        name: of the data set.

    Returns:
        Label to name; empty for a data set on disk, whose labels have no names.

    Example:
        >>> names = class_names("hangul")
        >>> names[0]
        '볂 byeonh'
    """
    if name not in BUNDLED:
        return {}
    path = FOLDER / f"{name}.parquet"
    column = "name" if "name" in pq.read_schema(path).names else "character"
    classes = pq.read_table(path, columns=["label", column]).to_pydict()
    words = _emoji if column == "name" else _character
    return {label: words(text) for label, text in zip(*classes.values(), strict=True)}


def _emoji(name: str) -> str:
    return name.replace("-", " ")


def _character(character: str) -> str:
    official = unicodedata.name(character, "")
    syllable = official.removeprefix("HANGUL SYLLABLE ")
    return f"{character} {syllable.lower() if syllable != official else f'U+{ord(character):04X}'}"
