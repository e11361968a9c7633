"""The bundled data sets, one Parquet file each in xbmlib/data, which a checkout holds."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from xbmlib.datasets.deferred import DeferredImages
from xbmlib.datasets.images import DatasetError, ImageSet, Retrieval
from xbmlib.datasets.parts import Parts, retrieval

FOLDER = Path(__file__).resolve().parent.parent / "data"
SIDE = 32
# VehicleID's test lists, each contained in the next.
LISTS = ("small", "medium", "large")


@dataclass(frozen=True)
class _Bundled:
    """One bundled data set.

    Attributes:
        ks: the K of R@K.
        sha256: of the file.
        webp: whether its images are WebP rather than rows of pixels.
    """

    ks: tuple[int, ...]
    sha256: str
    webp: bool = False


BUNDLED = {
    "hanzi": _Bundled(
        (1, 10, 100, 1000), "59cd841a5e5ee70c3e48d6d4775ffcdd442bd914d337027f9cdbbb39eddb60c7"
    ),
    "emoji": _Bundled(
        (1, 10, 20, 30, 40, 50),
        "0e7b75a1630f27191a617de2b41589ce1fdd5aaadb5577d29c45b1fc96e7888d",
        webp=True,
    ),
    "hangul": _Bundled((1, 5), "2d6a464c69a4a161d80e37bbf578789908786789436555c75d2b8edeeb9033b8"),
    "scripts": _Bundled(
        (1, 10, 100), "20e17973ce7492fc18f168c28bd6aded4e8881d8506c0bcf713604b523e90674"
    ),
}


def load(name: str, split: str = "test") -> Retrieval:
    """Load a bundled data set, whose images are decoded when the first of them is read.

    Args:
        name: "hanzi" (in place of SOP), "emoji" (In-shop: queries and a gallery), "hangul"
            (VehicleID: three test lists) or "scripts" (for pretraining).
        split: "test", "validation" or "smoke", see :func:`xbmlib.datasets.parts.retrieval`.

    Returns:
        Images (1, 32, 32) uint8, ink 255 on a background of 0; emoji (3, 32, 32), halved from
        64 × 64 and inverted, so that their white background is 0 too.

    Raises:
        DatasetError: an unknown split, or a file that is missing, truncated or altered.
    """
    this = BUNDLED[name]
    images, splits = _read(FOLDER / f"{name}.parquet", this.sha256, this.webp)
    return retrieval(name, images, _parts(splits), this.ks, this.sha256, split)


def _parts(splits: np.ndarray) -> Parts:
    """The parts of a data set from the split, (n,) strings, that the file names for each image."""
    train = _rows(splits == "train")
    if "gallery" in splits:
        return Parts(train, _rows(splits == "query"), _rows(splits == "gallery"))
    test = splits[splits != "train"]
    members = [np.isin(test, LISTS[: i + 1]) for i in range(len(LISTS))]
    lists = {name: _rows(member) for name, member in zip(LISTS, members, strict=True)}
    return Parts(train, _rows(splits != "train"), lists=lists if "small" in splits else {})


def _rows(mask: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(mask.nonzero()[0])


@lru_cache(maxsize=3)
def _read(path: Path, sha256: str, webp: bool) -> tuple[ImageSet, np.ndarray]:
    """The images of a file with this SHA-256, yet to be decoded, and the split of each."""
    table = _table(path, sha256, ["label", "split"])
    labels = torch.from_numpy(table["label"].to_numpy().astype(np.int64))
    images = DeferredImages(
        partial(_decode, path, sha256, webp),
        3 if webp else 1,
        torch.arange(len(labels), device="cpu"),
        labels,
    )
    return images, table["split"].to_numpy()


@lru_cache(maxsize=3)
def _decode(path: Path, sha256: str, webp: bool) -> torch.Tensor:
    """All images of a file, (N, C, SIDE, SIDE) uint8."""
    chunks = _table(path, sha256, ["image"])["image"].combine_chunks()
    if webp:
        pixels = np.stack([_inverted(image) for image in chunks.to_pylist()])
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    pixels = np.frombuffer(chunks.buffers()[1], np.uint8).copy()
    return torch.from_numpy(pixels.reshape(-1, 1, SIDE, SIDE))


def _table(path: Path, sha256: str, columns: list[str]) -> pa.Table:
    """Columns of a file with this SHA-256."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DatasetError(
            f"{path}: not installed; the bundled images are in the folder xbmlib/data of the "
            f"repository: copy {path.name} from there, or clone the repository and install it "
            "with pip install -e"
        ) from None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); {_remedy(path)}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DatasetError(
            f"{path}: {len(content):,} bytes with SHA-256 {found[:12]}…, not {sha256[:12]}…: "
            f"truncated or altered; {_remedy(path)}"
        )
    return pq.read_table(pa.BufferReader(content), columns=columns)


def _remedy(path: Path) -> str:
    return (
        f"restore it (git -C {path.parent} checkout -- {path.name}) or build it with "
        f"tools/build_{path.stem}.py"
    )


def _inverted(webp: bytes) -> np.ndarray:
    """(SIDE, SIDE, 3) uint8 of an image on white: means of squares of pixels, white as 0."""
    # Without the format, Pillow asks some forty others first, which takes as long as decoding.
    image = Image.open(io.BytesIO(webp), formats=("WEBP",))
    return 255 - np.asarray(image.reduce(image.width // SIDE))
