"""Caltech-UCSD Birds 200-2011 (Wah et al., 2011)."""

from __future__ import annotations

from pathlib import Path

from xbmlib.datasets.listing import ListedImages, Listing, lines

FILES = (("images.txt",), ("image_class_labels.txt",))
# The first half of the classes trains, the usual split of metric learning (Oh Song et al., 2016).
TRAINED = 100


def read(files: list[Path], images: str) -> Listing:
    """Read images.txt and image_class_labels.txt: one image a line, in the same order.

    Raises:
        DatasetError: a list that cannot be right, with its line.
    """
    found = ListedImages(images)
    names = lines(files[0], "image_id image_name")
    classes = lines(files[1], "image_id class_id")
    for line, of in zip(names, classes, strict=False):
        if line.fields[0] != of.fields[0]:
            raise of.wrong(
                f"image {of.fields[0]} stands where {files[0].name} has {line.fields[0]}"
            )
        label = of.integer(1)
        found.add(line, line.fields[1], label, "train" if label <= TRAINED else "test")
    if len(names) != len(classes):
        longer, count = max((names, classes), key=len), min(len(names), len(classes))
        raise longer[count].wrong(f"the other list ends after {count:,} images; copy both anew")
    return found.listing(files)
