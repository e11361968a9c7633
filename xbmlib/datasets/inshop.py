"""In-shop Clothes Retrieval of DeepFashion (Liu et al., CVPR 2016)."""

from __future__ import annotations

from pathlib import Path

from xbmlib.datasets.listing import ListedImages, Listing, lines

COLUMNS = "image_name item_id evaluation_status"
NAME = "list_eval_partition.txt"
FILES = ((f"Eval/{NAME}", f"Anno/{NAME}", NAME),)
PARTS = ("train", "query", "gallery")
# Every path in the list starts with it, whichever folder the images are in.
LISTED = "img/"


def read(files: list[Path], images: str) -> Listing:
    """Read list_eval_partition.txt: the number of images, a header, then one image per line.

    Raises:
        DatasetError: a list that is unreadable or contradicts itself, with its line.
    """
    found = ListedImages(images)
    for line in lines(files[0], COLUMNS, head=["#", COLUMNS], path=0):
        path, item, part = line.fields
        if part not in PARTS:
            raise line.error(f"evaluation_status {part!r} is none of {', '.join(PARTS)}")
        if not path.startswith(LISTED):
            raise line.error(f"{path!r} should start with {LISTED!r}")
        found.add(line, path.removeprefix(LISTED), item, part)
    return found.listing(files, query="query", gallery="gallery")
