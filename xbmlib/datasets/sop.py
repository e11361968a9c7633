"""Stanford Online Products (Oh Song et al., CVPR 2016)."""

from __future__ import annotations

from pathlib import Path

from xbmlib.datasets.listing import ListedImages, Listing, lines

COLUMNS = "image_id class_id super_class_id path"
PARTS = ("train", "test")
FILES = tuple((f"Ebay_{part}.txt",) for part in PARTS)


def read(files: list[Path], images: str) -> Listing:
    """Read Ebay_train.txt and Ebay_test.txt: one image per line, under a header.

    Raises:
        DatasetError: a list that is unreadable or contradicts itself, with its line.
    """
    found = ListedImages(images)
    for part, file in zip(PARTS, files, strict=True):
        for line in lines(file, COLUMNS, head=[COLUMNS], path=-1):
            found.add(line, line.fields[3], line.integer(1), part)
    return found.listing(files)
