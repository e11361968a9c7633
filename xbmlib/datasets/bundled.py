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
from xbmlib.datasets.parts import Parts, retrieval

FOLDER = Path(__file__).resolve().parent.parent / "data"
SIDE = 32
# VehicleID's test lists, each part of the next.
LISTS = ("small", "medium", "large")


@dataclass(frozen=True)
class _Embedded:
    """Attributes: ks: the K of R@K. sha256: of the file. webp: whether its images are WebP."""

    ks: tuple[int, ...]
    sha256: str
    webp: bool = False


BUNDLED = {
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
        split: "test" or "validation", see :func:`xbmlib.datasets.parts.retrieval`.

    Returns:
        Images of one channel, ink 255 on 0, 32 × 32; emoji of three, inverted so that their white
        ground is 0 as well, halved from 64 × 64.

    Raises:
        DatasetError: an unknown split, or a file that is missing, truncated or altered.
    """
    this = BUNDLED[name]
    images, parts = _read(FOLDER / f"{name}.parquet", this.sha256, this.webp)
    return retrieval(name, images, _parts(parts), this.ks, this.sha256, split)


def _parts(of: np.ndarray) -> Parts:
    """Rows by the part that the file names for each image."""
    train = _rows(of == "train")
    if "gallery" in of:
        return Parts(train, _rows(of == "query"), _rows(of == "gallery"))
    tested = of[of != "train"]
    held = [np.isin(tested, LISTS[: i + 1]) for i in range(len(LISTS))]
    lists = {name: _rows(part) for name, part in zip(LISTS, held, strict=True)}
    return Parts(train, _rows(of != "train"), lists=lists if "small" in of else {})


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
