"""PKU VehicleID (Liu et al., CVPR 2016)."""

from __future__ import annotations

from pathlib import Path

from xbmlib.datasets.listing import ListedImages, Listing, lines

COLUMNS = "image_name vehicle_id"
LISTS = {"small": 800, "medium": 1600, "large": 2400}
NAMES = ("train_list.txt", *(f"test_list_{classes}.txt" for classes in LISTS.values()))
FILES = tuple((f"train_test_split/{name}", name) for name in NAMES)
# Both are in use, and a result on one is no result on the other.
VERSIONS = (
    "VehicleID's lists circulate in two versions: the one that the paper states has 110,178 "
    "training images of 13,134 classes and 7,332 / 12,995 / 20,038 images in its test lists; the "
    "one that re-identification code reads has 113,346 of 13,164 and 6,493 / 13,377 / 19,777"
)


def read(files: list[Path], images: str) -> Listing:
    """Read train_list.txt and the three test lists: one image per line, named without ".jpg".

    The queries are the union of the test lists; none of these needs to contain another.

    Raises:
        DatasetError: a list that is unreadable or contradicts itself, with its line.
    """
    found = ListedImages(images, overlapping=LISTS)
    for part, file in zip(("train", *LISTS), files, strict=True):
        for line in lines(file, COLUMNS):
            found.add(line, f"{line.fields[0]}.jpg", line.integer(1), part)
    return found.listing(files, lists=tuple(LISTS))
