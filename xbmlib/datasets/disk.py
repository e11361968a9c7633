"""Loading a published data set from $XBM_DATA."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from xbmlib.datasets.encoded import EncodedImages
from xbmlib.datasets.images import DatasetError, Retrieval
from xbmlib.datasets.packed import find_pack
from xbmlib.datasets.parts import retrieval
from xbmlib.datasets.paths import is_folder
from xbmlib.datasets.published import DISK, VARIABLE
from xbmlib.datasets.views import VIEWS
from xbmlib.paper import Part

# With this fraction of the published training images, a tree is meant to be complete.
WHOLE = 0.5


def root() -> Path:
    """The folder that holds the data sets, $XBM_DATA.

    Raises:
        DatasetError: it is not set, or not a folder.
    """
    named = os.environ.get(VARIABLE, "")
    if not named:
        raise DatasetError(
            f"{VARIABLE} is not set: export {VARIABLE}=/folder/that/holds the data sets, such as "
            f"{DISK['sop'].folders[0]}/ or {DISK['inshop'].folders[0]}/"
        )
    if not is_folder(Path(named)):
        raise DatasetError(f"{VARIABLE}={named}: no such folder")
    return Path(named).resolve()


def load(name: str, split: str, view: str) -> Retrieval:
    """Read the lists of a data set on disk; its images are read when they are fetched.

    They are read from a pack where $XBM_DATA holds one: ``<name>-<view>.pack/``, or else
    ``<name>-original.pack/`` (see :mod:`xbmlib.datasets.pack`).

    Args:
        name: a key of :data:`xbmlib.datasets.published.DISK`.
        split: "test", "validation" or "smoke".
        view: a key of :data:`xbmlib.datasets.views.VIEWS`.

    Raises:
        DatasetError: lists or images are missing or damaged; a pack is not of these lists.

    Warns:
        UserWarning: the tree is meant to be complete and its counts are not the published ones.
    """
    base, this = root(), DISK[name]
    folder = this.folder(base)
    listing = this.listing(folder)
    images: EncodedImages
    if (pack := find_pack(base, name, VIEWS[view], listing)) is not None:
        images, fingerprint = pack, listing.fingerprint(view, pack.stored)
    else:
        images, fingerprint = this.loose(folder, listing, VIEWS[view]), listing.fingerprint(view)
    data = retrieval(name, images, listing.parts, this.ks, fingerprint, split)
    whole = split == "test" and len(data.train) >= WHOLE * this.published["train"].images
    if whole and (found := differences(data)):
        warnings.warn("; ".join(found), stacklevel=3)
    return data


def differences(data: Retrieval) -> list[str]:
    """How the images and classes of a data set on disk differ from the published counts.

    Args:
        data: its split "test". Bundled sets have no published counts.

    Returns:
        One line for each part that differs, and a note where one is known; none if all agree.
    """
    if data.name not in DISK:
        return []
    this, labels = DISK[data.name], {"train": data.train.labels}
    if data.lists:
        labels |= {name: data.query.labels[rows] for name, rows in data.lists.items()}
    elif data.gallery is not None:
        labels |= {"query": data.query.labels, "gallery": data.gallery.labels}
    else:
        labels["test"] = data.query.labels
    found = {name: Part(len(part), len(part.unique())) for name, part in labels.items()}
    lines = [
        f"{this.title}, {part}: {found[part].images:,} images of {found[part].classes:,} classes, "
        f"published are {wanted.images:,} of {wanted.classes:,}"
        for part, wanted in this.published.items()
        if found[part] != wanted
    ]
    return [*lines, this.note] if lines and this.note else lines
