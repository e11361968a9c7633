"""List files of a data set: its images, their classes, and the part that each belongs to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import pyarrow as pa
import torch
from torch import Tensor

from xbmlib.datasets.images import DatasetError
from xbmlib.datasets.parts import Parts

Class = int | str
# Any number of so many digits fits into int64.
DIGITS = 18


@dataclass(frozen=True)
class Line:
    """One line of a list file, or one entry of a MATLAB file in its place.

    Attributes:
        file: the list file.
        number: of the line, from 1.
        fields: its columns.
    """

    file: Path
    number: int
    fields: Sequence[str]

    def error(self, message: str) -> DatasetError:
        """An error that names the file and the line."""
        return DatasetError(f"{self.file}, line {self.number}: {message}")

    def integer(self, at: int) -> int:
        """A column as a whole number, 0 or more.

        Raises:
            DatasetError: it is not one.
        """
        if not (text := self.fields[at]).isdecimal() or len(text) > DIGITS:
            raise self.error(f"{text!r} is not a whole number of at most {DIGITS} digits")
        return int(text)


def lines(
    file: Path, columns: str, head: Sequence[str] = (), path: Literal[0, -1] | None = None
) -> list[Line]:
    """The lines of a list file whose columns are separated by white space.

    Args:
        file: UTF-8 text, with or without a byte order mark.
        columns: names of the columns.
        head: the lines expected before the first image; "#" stands for the number of images.
        path: the column that may hold white space itself: the first or the last.

    Raises:
        DatasetError: the file cannot be read, names no image, or a line is not as expected.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{file}: cannot be read ({error}); copy it again") from None
    rows = list(enumerate(text.rstrip().splitlines(), 1))
    first = [Line(file, i, row.split()) for i, row in rows[: len(head)]]
    split = _splitter(len(columns.split()), path)
    rest = [Line(file, i, split(row.strip())) for i, row in rows[len(head) :]]
    for line, wanted in zip(first, head, strict=False):
        if wanted == "#":
            if len(line.fields) != 1 or line.integer(0) != len(rest):
                raise line.error(
                    f"{' '.join(line.fields)!r} should be the number of images, and "
                    f"{len(rest):,} follow: the file is truncated or of another data set"
                )
        elif line.fields != wanted.split():
            raise line.error(f"{' '.join(line.fields)!r} should be the header {wanted!r}")
    if not rest:
        raise DatasetError(f"{file}: names no image; copy it again")
    wanted_columns = len(columns.split())
    for line in rest:
        if len(line.fields) != wanted_columns:
            raise line.error(
                f"{len(line.fields)} columns, and there should be {wanted_columns}: {columns}"
            )
    return rest


def _splitter(columns: int, path: Literal[0, -1] | None) -> Callable[[str], list[str]]:
    """Splits a line into its columns; the column of the path keeps its white space."""
    if path is None:
        return str.split
    split = str.split if path == -1 else str.rsplit
    return lambda row: split(row, None, columns - 1)


@dataclass(frozen=True)
class Listing:
    """The content of the list files.

    Attributes:
        paths: Arrow array of n strings, relative to the data set's folder.
        labels: (n,) int64; classes with names are numbered in sorted order.
        parts: the rows of training, queries and gallery.
        files: the list files.
        images: folder of the images, relative to the data set's folder.
    """

    paths: Any
    labels: torch.Tensor
    parts: Parts
    files: tuple[Path, ...]
    images: str

    def fingerprint(self, view: str, stored: str = "") -> str:
        """SHA-256 of the view's name, the list files' bytes and the name of the images' folder.

        The images are not read.

        Args:
            view: name of the view.
            stored: how the images were re-encoded, if they were.
        """
        hashed = hashlib.sha256()
        texts = [text.encode() for text in (view, stored, PurePosixPath(self.images).name)]
        for content in [*texts, *(file.read_bytes() for file in self.files)]:
            hashed.update(len(content).to_bytes(8, "big") + content)
        return hashed.hexdigest()


class ListedImages:
    """Collects the images of the list files and refuses lists that contradict themselves.

    Args:
        images: folder that the paths start from, relative to the data set's.
        overlapping: parts that may share images, each of them once.
    """

    def __init__(self, images: str, overlapping: Iterable[str] = ()) -> None:
        self.images, self.overlapping = images, frozenset(overlapping)
        self.parts: dict[str, dict[int, None]] = {}
        self._rows: dict[str, int] = {}
        self._classes: list[Class] = []
        self._first: list[tuple[Line, str]] = []

    def add(self, line: Line, path: str, label: Class, part: str) -> None:
        """Add one image.

        Args:
            line: that names it.
            path: with "/", below ``images``.
            label: its class.
            part: "train", or the name of a test part.

        Raises:
            DatasetError: the path leaves the folder, or the image was listed before.
        """
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if not parts or path.startswith("/") or ".." in parts or ":" in parts[0]:
            raise line.error(f"{path!r} leads out of the folder of the data set")
        if "\\" in path or not path.isprintable():
            raise line.error(f"{path!r} holds a character that no path of a data set has")
        name = "/".join(parts)
        rows = self.parts.setdefault(part, {})
        row = self._rows.setdefault(name, len(self._classes))
        if row == len(self._classes):
            self._classes.append(label)
            self._first.append((line, part))
        else:
            first, its_part = self._first[row]
            at = f"on line {first.number} of {first.file.name}"
            if self._classes[row] != label:
                raise line.error(
                    f"{path!r} is of class {label}, and of class {self._classes[row]} {at}"
                )
            if row in rows or not {part, its_part} <= self.overlapping:
                raise line.error(f"{path!r} again: it is {at} already")
        rows[row] = None

    def listing(
        self,
        files: Sequence[Path],
        query: str = "test",
        gallery: str | None = None,
        lists: Sequence[str] = (),
    ) -> Listing:
        """The listing of all images added; the part "train" is for training.

        Args:
            files: the list files.
            query: part of the queries, unless ``lists`` are given.
            gallery: part of the gallery, if there is one.
            lists: parts whose union are the queries.

        Raises:
            DatasetError: a part is empty, or training and test share a class.
        """
        queries = dict.fromkeys(
            row for name in lists or [query] for row in self.parts.get(name, {})
        )
        tested = [*queries, *self.parts.get(gallery or "", {})]
        for name in ["train", *([gallery] if gallery else []), *(lists or [query])]:
            if not self.parts.get(name):
                raise DatasetError(f"{files[-1]}: no image is for {name!r}; copy the lists again")
        shared = {self._classes[row] for row in self.parts["train"]} & {
            self._classes[row] for row in tested
        }
        if shared:
            raise DatasetError(
                f"{files[-1]}: class {min(shared)} is in training and in test ({len(shared):,} in "
                "all are); they have to be disjoint: are the lists of one version?"
            )
        place = {row: at for at, row in enumerate(queries)}
        ids: dict[Class, int] = {}
        if any(isinstance(label, str) for label in self._classes):
            ids = {name: i for i, name in enumerate(sorted(set(self._classes)))}
        prefix = self.images and f"{self.images}/"
        return Listing(
            pa.array([prefix + name for name in self._rows], pa.string()),
            _integers([ids.get(label, label) for label in self._classes]),
            Parts(
                _integers(list(self.parts["train"])),
                _integers(list(queries)),
                _integers(list(self.parts[gallery])) if gallery else None,
                {name: _integers([place[r] for r in self.parts[name]]) for name in lists},
            ),
            tuple(files),
            self.images,
        )


def _integers(values: list[Any]) -> Tensor:
    return torch.tensor(values, dtype=torch.int64, device="cpu")
