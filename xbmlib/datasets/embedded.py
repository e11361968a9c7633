"""The data sets that ship with the library, one Parquet file each (see xbmlib/data)."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from xbmlib.datasets.images import DatasetError, ImageSet, Retrieval

FOLDER = Path(__file__).resolve().parent.parent / "data"
SIDE = 32
# VehicleID's test lists, each part of the next.
LISTS = ("small", "medium", "large")
SPLITS = ("test", "validation")
# Share of the training classes that a search measures on; the test classes stay unseen.
VALIDATION_SHARE = 0.2
VALIDATION_SEED = 2020


@dataclass(frozen=True)
class _Embedded:
    """Attributes: ks: the K of R@K. sha256: of the file. webp: whether its images are WebP."""

    ks: tuple[int, ...]
    sha256: str
    webp: bool = False


EMBEDDED = {
    "hanzi": _Embedded(
        (1, 10, 100, 1000), "59cd841a5e5ee70c3e48d6d4775ffcdd442bd914d337027f9cdbbb39eddb60c7"
    ),
    "emoji": _Embedded(
        (1, 10, 20, 30, 40, 50),
        "0e7b75a1630f27191a617de2b41589ce1fdd5aaadb5577d29c45b1fc96e7888d",
        webp=True,
    ),
    "hangul": _Embedded((1, 5), "2d6a464c69a4a161d80e37bbf578789908786789436555c75d2b8edeeb9033b8"),
    "scripts": _Embedded(
        (1, 10, 100), "20e17973ce7492fc18f168c28bd6aded4e8881d8506c0bcf713604b523e90674"
    ),
}


def load(name: str, split: str = "test") -> Retrieval:
    """Load an embedded data set into memory.

    Args:
        name: "hanzi" (stands beside SOP), "emoji" (In-shop: queries and a gallery), "hangul"
            (VehicleID: three test lists) or "scripts" (for pretraining).
        split: "test" measures on the test classes. "validation" holds a fifth of the training
            classes out of training and measures on them, leave-one-out whatever the data set, for
            the choice of hyper-parameters.

    Returns:
        Images of one channel, ink 255 on 0, 32 × 32; emoji of three, inverted so that their white
        ground is 0 as well, halved from 64 × 64.

    Raises:
        DatasetError: an unknown name or split, or a file that is missing, truncated or altered.
    """
    if name not in EMBEDDED:
        raise DatasetError(f"data={name!r}: no such data set; known: {', '.join(EMBEDDED)}")
    if split not in SPLITS:
        # A misspelt "validation" must not fall through to the test classes.
        raise DatasetError(f"split={split!r}: no such split; known: {', '.join(SPLITS)}")
    this = EMBEDDED[name]
    images, parts = _read(FOLDER / f"{name}.parquet", this.sha256, this.webp)
    train = images.select(_rows(parts == "train"))
    gallery, lists = None, {}
    if split == "validation":
        classes = train.classes
        order = torch.randperm(
            len(classes), generator=torch.Generator().manual_seed(VALIDATION_SEED)
        )
        held = round(VALIDATION_SHARE * len(classes))
        query = train.of_classes(classes[order[:held]])
        train = train.of_classes(classes[order[held:]])
    elif "gallery" in parts:
        query, gallery = (images.select(_rows(parts == name)) for name in ("query", "gallery"))
    else:
        query = images.select(_rows(parts != "train"))
        level = [np.isin(parts[parts != "train"], LISTS[: i + 1]) for i in range(len(LISTS))]
        if "small" in parts:
            lists = {name: _rows(held) for name, held in zip(LISTS, level, strict=True)}
    return Retrieval(name, train, query, gallery, this.ks, this.sha256, lists)


def _rows(wanted: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(wanted.nonzero()[0])


@lru_cache(maxsize=3)
def _read(path: Path, sha256: str, webp: bool) -> tuple[ImageSet, np.ndarray]:
    """Images of a file whose contents are what they should be, and the split of each."""
    remedy = (
        f"restore it (git -C {path.parent} checkout -- {path.name}, or install xbmlib again) "
        f"or build it with tools/build_{path.stem}.py"
    )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DatasetError(
            f"{path}: {len(content):,} bytes with SHA-256 {found[:12]}…, not {sha256[:12]}…: "
            f"truncated or altered; {remedy}"
        )
    table = pq.read_table(pa.BufferReader(content), columns=["image", "label", "split"])
    chunks = table["image"].combine_chunks()
    if webp:
        pixels = np.stack([_small(image) for image in chunks.to_pylist()])
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    else:
        pixels = np.frombuffer(chunks.buffers()[1], np.uint8).copy()
        images = torch.from_numpy(pixels.reshape(-1, 1, SIDE, SIDE))
    labels = torch.from_numpy(table["label"].to_numpy().astype(np.int64))
    return ImageSet(images, labels), table["split"].to_numpy()


def _small(webp: bytes) -> np.ndarray:
    """(SIDE, SIDE, 3) of a picture on a white ground, the ground 0: means of squares of pixels."""
    picture = Image.open(io.BytesIO(webp))
    return 255 - np.asarray(picture.reduce(picture.width // SIDE))
