"""Caltech-UCSD Birds 200-2011 (Wah et al., 2011)."""

from __future__ import annotations

from pathlib import Path

from xbmlib.datasets.listing import ListedImages, Listing, lines

FILES = (("images.txt",), ("image_class_labels.txt",))
# The first half of the classes trains, the usual split of metric learning (Oh Song et al., 2016).
TRAINED = 100


def read(files: list[Path], images: str) -> Listing:
    """Read images.txt and image_class_labels.txt: one image per line, in the same order.

    Raises:
        DatasetError: a list that is unreadable or contradicts itself, with its line.
    """
    found = ListedImages(images)
    names = lines(files[0], "image_id image_name", path=-1)
    classes = lines(files[1], "image_id class_id")
    for line, class_line in zip(names, classes, strict=False):
        if line.fields[0] != class_line.fields[0]:
            raise class_line.error(
                f"image {_visible(class_line.fields[0])} stands where {files[0].name} has "
                f"{_visible(line.fields[0])}"
            )
        label = class_line.integer(1)
        found.add(line, line.fields[1], label, "train" if label <= TRAINED else "test")
    if len(names) != len(classes):
        longer, count = max((names, classes), key=len), min(len(names), len(classes))
        raise longer[count].error(f"the other list ends after {count:,} images; copy both again")
    return found.listing(files)


def _visible(text: str) -> str:
    """The text with everything but ASCII escaped: two that look alike can then be distinguished."""
    return ascii(text)[1:-1]
