"""What list files state, read a second time: by their columns alone, without a check.

In-shop's classes, which have names, are numbered in sorted order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

LISTS = {
    "sop": ("Ebay_train.txt", "Ebay_test.txt"),
    "inshop": ("Eval/list_eval_partition.txt",),
    "vehicleid": tuple(f"train_test_split/{name}.txt" for name in (
        "train_list", "test_list_800", "test_list_1600", "test_list_2400")),
    "cub": ("images.txt", "image_class_labels.txt"),
}  # fmt: skip
Image = tuple[str, str, int]  # part, path, class


def stated(name: str, texts: list[str]) -> set[Image]:
    """Part, path and class of every image, by the text of the list files."""
    rows = [text.rstrip().splitlines() for text in texts]
    return {(part, _plain(path), label) for part, path, label in _READ[name](rows)}


def _sop(rows: list[list[str]]) -> Iterator[Image]:
    for part, lines in zip(("train", "query"), rows, strict=True):
        for line in lines[1:]:
            _, label, _, path = line.strip().split(None, 3)
            yield part, path, int(label)


def _inshop(rows: list[list[str]]) -> Iterator[Image]:
    columns = [line.strip().rsplit(None, 2) for line in rows[0][2:]]
    items = sorted({item for _, item, _ in columns})
    for path, item, part in columns:
        yield part, path, items.index(item)


def _vehicleid(rows: list[list[str]]) -> Iterator[Image]:
    for part, lines in zip(("train", "small", "medium", "large"), rows, strict=True):
        for line in lines:
            name, label = line.split()
            yield part, f"image/{name}.jpg", int(label)


def _cub(rows: list[list[str]]) -> Iterator[Image]:
    for line, its_class in zip(*rows, strict=True):
        label = int(its_class.split()[1])
        part = "train" if label <= 100 else "query"
        yield part, f"images/{line.strip().split(None, 1)[1]}", label


_READ = {"sop": _sop, "inshop": _inshop, "vehicleid": _vehicleid, "cub": _cub}


def _plain(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def listed(listing: Any) -> set[Image]:
    """The same of a listing."""
    paths, labels = listing.paths.to_pylist(), listing.labels.tolist()
    parts = {"train": listing.parts.train, "query": listing.parts.query}
    if listing.parts.gallery is not None:
        parts["gallery"] = listing.parts.gallery
    if listing.parts.lists:
        queries = parts.pop("query")
        parts |= {name: queries[rows] for name, rows in listing.parts.lists.items()}
    return {
        (part, paths[row], labels[row]) for part, rows in parts.items() for row in rows.tolist()
    }
