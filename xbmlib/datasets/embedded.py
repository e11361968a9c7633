"""The data sets that ship with the library, one Parquet file each (see xbmlib/data)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from xbmlib.datasets.images import DatasetError, ImageSet, Retrieval

FOLDER = Path(__file__).resolve().parent.parent / "data"
SIDE = 32
SPLITS = ("test", "validation")
# Share of the training classes that a search measures on; the test classes stay unseen.
VALIDATION_SHARE = 0.2
VALIDATION_SEED = 2020


@dataclass(frozen=True)
class _Embedded:
    ks: tuple[int, ...]
    sha256: str


EMBEDDED = {
    "hanzi": _Embedded(
        (1, 10, 100, 1000), "59cd841a5e5ee70c3e48d6d4775ffcdd442bd914d337027f9cdbbb39eddb60c7"
    ),
    "scripts": _Embedded(
        (1, 10, 100), "20e17973ce7492fc18f168c28bd6aded4e8881d8506c0bcf713604b523e90674"
    ),
}


def load(name: str, split: str = "test") -> Retrieval:
    """Load an embedded data set into memory.

    Args:
        name: "hanzi" (stands beside SOP) or "scripts" (for pretraining).
        split: "test" measures on the test classes. "validation" holds a fifth of the training
            classes out of training and measures on them, for the choice of hyper-parameters.

    Raises:
        DatasetError: an unknown name or split, or a file that is missing, truncated or altered.
    """
    if name not in EMBEDDED:
        raise DatasetError(f"data={name!r}: no such data set; known: {', '.join(EMBEDDED)}")
    if split not in SPLITS:
        # A misspelt "validation" must not fall through to the test classes.
        raise DatasetError(f"split={split!r}: no such split; known: {', '.join(SPLITS)}")
    train, test = _read(FOLDER / f"{name}.parquet", EMBEDDED[name].sha256)
    if split == "validation":
        classes = train.classes
        order = torch.randperm(
            len(classes), generator=torch.Generator().manual_seed(VALIDATION_SEED)
        )
        held = round(VALIDATION_SHARE * len(classes))
        test = train.of_classes(classes[order[:held]])
        train = train.of_classes(classes[order[held:]])
    return Retrieval(name, train, test, None, EMBEDDED[name].ks, EMBEDDED[name].sha256)


@lru_cache(maxsize=2)
def _read(path: Path, sha256: str) -> tuple[ImageSet, ImageSet]:
    """Training and test images of a file whose contents are what they should be."""
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
    images = np.frombuffer(chunks.buffers()[1], np.uint8).reshape(-1, 1, SIDE, SIDE).copy()
    labels = table["label"].to_numpy().astype(np.int64)
    training = table["split"].to_numpy() == "train"
    return tuple(  # type: ignore[return-value]
        ImageSet(torch.from_numpy(images[rows]), torch.from_numpy(labels[rows]))
        for rows in (training, ~training)
    )
