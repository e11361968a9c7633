"""List files of a data set: which images it has, of which class, and what they are for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import torch

from xbmlib.datasets.images import DatasetError
from xbmlib.datasets.parts import Parts

Class = int | str
# What int64 surely holds.
DIGITS = 18


@dataclass(frozen=True)
class Line:
    """One line of a list file, or one entry of what stands for it.

    Attributes:
        file: the list file.
        number: from 1.
        fields: its columns.
    """

    file: Path
    number: int
    fields: Sequence[str]

    def wrong(self, told: str) -> DatasetError:
        """An error that names the file and the line."""
        return DatasetError(f"{self.file}, line {self.number}: {told}")

    def integer(self, at: int) -> int:
        """A column that has to be a whole number, 0 or more."""
        if not (text := self.fields[at]).isdecimal() or len(text) > DIGITS:
            raise self.wrong(f"{text!r} is no whole number of {DIGITS} digits at most")
        return int(text)


def lines(file: Path, columns: str, head: Sequence[str] = ()) -> list[Line]:
    """The lines of a list file whose columns are parted by white space.

    Args:
        file: UTF-8 text.
        columns: their names.
        head: what the first lines are, before the first image; "#" is any whole number, which has
            to be the number of images.

    Raises:
        DatasetError: the file cannot be read, is empty, or a line is not as it should be.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{file}: cannot be read ({error}); copy it anew") from None
    found = [Line(file, i, row.split()) for i, row in enumerate(text.rstrip().splitlines(), 1)]
    first, rest = found[: len(head)], found[len(head) :]
    for line, wanted in zip(first, head, strict=False):
        if wanted == "#":
            if len(line.fields) != 1 or line.integer(0) != len(rest):
                raise line.wrong(
                    f"{' '.join(line.fields)!r} should be the number of images, and "
                    f"{len(rest):,} follow: the file is cut or not of this data set"
                )
        elif line.fields != wanted.split():
            raise line.wrong(f"{' '.join(line.fields)!r} should be the header {wanted!r}")
    if not rest:
        raise DatasetError(f"{file}: names no image; copy it anew")
    wanted_columns = len(columns.split())
    for line in rest:
        if len(line.fields) != wanted_columns:
            raise line.wrong(
                f"{len(line.fields)} columns, and there should be {wanted_columns}: {columns}"
            )
    return rest


@dataclass(frozen=True)
class Listing:
    """What the list files say.

    Attributes:
        paths: Arrow array of n strings, relative to the data set's folder.
        labels: (n,) int64; names of classes are numbered in sorted order.
        parts: what the images are for.
        files: the list files.
        images: folder of the images, relative to the data set's folder.
    """

    paths: Any
    labels: torch.Tensor
    parts: Parts
    files: tuple[Path, ...]
    images: str

    def fingerprint(self, view: str, stored: str = "") -> str:
        """SHA-256 of the view's name, of the list files' bytes and of the images' folder's name.

        The images are not read.

        Args:
            view: name of the view.
            stored: how the images were encoded anew, if they were.
        """
        hashed = hashlib.sha256()
        texts = [text.encode() for text in (view, stored, PurePosixPath(self.images).name)]
        for content in [*texts, *(file.read_bytes() for file in self.files)]:
            hashed.update(len(content).to_bytes(8, "big") + content)
        return hashed.hexdigest()


class ListedImages:
    """Takes the images of the list files, one by one, and refuses what cannot be right.

    Args:
        images: folder that the paths start from, relative to the data set's.
        overlapping: parts that may hold the same image, each once.
    """

    def __init__(self, images: str, overlapping: Iterable[str] = ()) -> None:
        self.images, self.overlapping = images, frozenset(overlapping)
        self.parts: dict[str, dict[int, None]] = {}
        self._rows: dict[str, int] = {}
        self._classes: list[Class] = []
        self._first: list[tuple[Line, str]] = []

    def add(self, line: Line, path: str, of: Class, part: str) -> None:
        """Take one image.

        Args:
            line: that it is on.
            path: with "/", below ``images``.
            of: its class.
            part: what it is for.

        Raises:
            DatasetError: the path leaves the folder, or the image was there before.
        """
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if not parts or path.startswith("/") or ".." in parts or ":" in parts[0]:
            raise line.wrong(f"{path!r} leads out of the folder of the data set")
        if "\\" in path or not path.isprintable():
            raise line.wrong(f"{path!r} holds what no path of a data set does")
        name = "/".join(parts)
        rows = self.parts.setdefault(part, {})
        row = self._rows.setdefault(name, len(self._classes))
        if row == len(self._classes):
            self._classes.append(of)
            self._first.append((line, part))
        else:
            first, its_part = self._first[row]
            at = f"on line {first.number} of {first.file.name}"
            if self._classes[row] != of:
                raise line.wrong(
                    f"{path!r} is of class {of}, and of class {self._classes[row]} {at}"
                )
            if row in rows or not {part, its_part} <= self.overlapping:
                raise line.wrong(f"{path!r} again: it is {at} already")
        rows[row] = None

    def listing(
        self,
        files: Sequence[Path],
        query: str = "test",
        gallery: str | None = None,
        lists: Sequence[str] = (),
    ) -> Listing:
        """All that was taken; the part "train" is for training.

        Args:
            files: the list files.
            query: part of the queries, unless ``lists`` are.
            gallery: part of the gallery, if there is one.
            lists: parts that together are the queries.

        Raises:
            DatasetError: a part is empty, or training and test share a class.
        """
        held = dict.fromkeys(row for name in lists or [query] for row in self.parts.get(name, {}))
        tested = [*held, *self.parts.get(gallery or "", {})]
        for name in ["train", *([gallery] if gallery else []), *(lists or [query])]:
            if not self.parts.get(name):
                raise DatasetError(f"{files[-1]}: no image is for {name!r}; copy the lists anew")
        both = {self._classes[row] for row in self.parts["train"]} & {
            self._classes[row] for row in tested
        }
        if both:
            raise DatasetError(
                f"{files[-1]}: class {min(both)} is in training and in test ({len(both):,} in all "
                "are); they have to be disjoint: are the lists of one version?"
            )
        place = {row: at for at, row in enumerate(held)}
        ids: dict[Class, int] = {}
        if any(isinstance(of, str) for of in self._classes):
            ids = {of: i for i, of in enumerate(sorted(set(self._classes)))}
        prefix = self.images and f"{self.images}/"
        return Listing(
            pa.array([prefix + name for name in self._rows], pa.string()),
            torch.tensor([ids.get(of, of) for of in self._classes], dtype=torch.int64),
            Parts(
                torch.tensor(list(self.parts["train"])),
                torch.tensor(list(held)),
                torch.tensor(list(self.parts[gallery])) if gallery else None,
                {name: torch.tensor([place[r] for r in self.parts[name]]) for name in lists},
            ),
            tuple(files),
            self.images,
        )
