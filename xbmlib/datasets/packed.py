"""Images in a pack: a few large Arrow files instead of very many small ones.

A pack is a folder ``<data set>-<view>.pack``. Its shards ``00000.arrow``, … are Arrow IPC files
with the columns ``path`` (string), ``label`` (int64) and ``image`` (encoded bytes), one row per
image, in the order of the lists. They are mapped into memory, so that any row is read without the
rows before it, and processes share the pages. ``manifest.json`` states what the pack was made from
and is written last.
"""

from __future__ import annotations

import json
import warnings
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Any, Self

import pyarrow as pa
import torch
from torch import Tensor

from xbmlib.datasets.encoded import EncodedImages
from xbmlib.datasets.images import DatasetError
from xbmlib.datasets.listing import Listing
from xbmlib.datasets.views import View
from xbmlib.storage import content_digest

MANIFEST = "manifest.json"
PER_SHARD = 1024  # images
# In place of a view's name: a pack of the original bytes, which any view reads.
ORIGINAL = "original"
# The encoding of other packs, at the size that the view crops from.
QUALITY = 95
RESIZED = f"JPEG {QUALITY}"


class Packed(EncodedImages):
    """Labelled images in a finished pack.

    Args:
        folder: the pack.
        labels: (n,) int64.
        view: the crops of training and test.
        rows: (n,) rows of the pack, one for each label.
        per_shard: images in a shard.
        stored: how the images were re-encoded; "" for the original bytes.
    """

    def __init__(
        self,
        folder: Path,
        labels: Tensor,
        view: View,
        *,
        rows: Tensor,
        per_shard: int,
        stored: str,
    ) -> None:
        self.folder, self.labels, self.view = folder, labels, view
        self.rows, self.per_shard, self.stored = rows, per_shard, stored
        self._open: dict[int, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Without the open maps: another process opens its own."""
        return {**self.__dict__, "_open": {}}

    def select(self, rows: Tensor) -> Self:
        """The images of these rows, in the order of ``rows``."""
        return type(self)(
            self.folder,
            self.labels[rows],
            self.view,
            rows=self.rows[rows],
            per_shard=self.per_shard,
            stored=self.stored,
        )

    def encoded(self, row: int) -> bytes:
        """The bytes of one image.

        Raises:
            DatasetError: its shard cannot be read.
        """
        shard, at = self._find(row)
        return shard["image"][at].as_py()

    def where(self, row: int) -> str:
        """Shard, row in it, and the path that the image was packed from."""
        shard, at = self._find(row)
        file = shard_path(self.folder, int(self.rows[row]) // self.per_shard)
        return f"{file}, row {at} ({shard['path'][at].as_py()})"

    @property
    def remedy(self) -> str:
        """What to do about a damaged pack."""
        return _remedy(self.folder)

    def _find(self, row: int) -> tuple[Any, int]:
        number, at = divmod(int(self.rows[row]), self.per_shard)
        if number not in self._open:
            self._open[number] = open_shard(shard_path(self.folder, number))
        return self._open[number], at


def pack_path(base: Path, name: str, view: str) -> Path:
    """The pack of a data set within a folder of data sets."""
    return base / f"{name}-{view}.pack"


def shard_path(folder: Path, number: int) -> Path:
    """The path of one file of a pack."""
    return folder / f"{number:05}.arrow"


def open_shard(path: Path) -> Any:
    """The rows of one shard, mapped into memory.

    Raises:
        DatasetError: it is missing or damaged.
    """
    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
    except (OSError, pa.ArrowInvalid) as error:
        folder = path.parent
        remedy = _remedy(folder, path, folder / MANIFEST)
        raise DatasetError(f"{path}: cannot be read ({error}); {remedy}") from None


def find_pack(base: Path, name: str, view: View, listing: Listing) -> Packed | None:
    """The finished pack of these lists for this view: the view's own, or else the original bytes.

    Returns:
        The pack, or None without one.

    Raises:
        DatasetError: a pack is of other lists, or the size of a shard is not the one written.

    Warns:
        UserWarning: a pack is unfinished and ignored.
    """
    for key, stored in ((view.name, RESIZED), (ORIGINAL, "")):
        folder = pack_path(base, name, key)
        if not folder.is_dir():
            continue
        if (manifest := read_manifest(folder)) is None:
            warnings.warn(
                f"{folder} is not finished and is ignored; to finish it: {_command(folder)}",
                stacklevel=4,
            )
            continue
        if manifest["fingerprint"] != listing.fingerprint(key, stored):
            raise DatasetError(
                f"{folder}: stale, made from lists other than those in {listing.files[0].parent}; "
                f"{_remedy(folder)}"
            )
        for number, size in enumerate(manifest["bytes"]):
            path = shard_path(folder, number)
            found = path.stat().st_size if path.is_file() else 0
            if found != size:
                remedy = _remedy(folder, path, folder / MANIFEST)
                raise DatasetError(f"{path}: {found:,} bytes, not {size:,}: damaged; {remedy}")
        return Packed(
            folder,
            listing.labels,
            view,
            rows=torch.arange(len(listing.labels), device="cpu"),
            per_shard=manifest["per_shard"],
            stored=stored,
        )
    return None


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a finished pack; None for an unfinished one.

    Raises:
        DatasetError: it is damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        whole = manifest.pop("digest") == content_digest(manifest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DatasetError(f"{path}: damaged ({error!r}); {_remedy(folder, path)}") from None
    if not whole:
        remedy = _remedy(folder, path)
        raise DatasetError(f"{path}: damaged: not the content of its digest; {remedy}")
    return dict(manifest)


def _command(folder: Path) -> str:
    name, view = folder.stem.split("-", 1)
    how = "--original" if view == ORIGINAL else f"--view {view}"
    rows = _rows_of_shards(folder)
    size = "" if rows in (None, PER_SHARD) else f" --per-shard {rows}"
    return f"python -m xbmlib.datasets.pack {name} {how}{size} --to {quote(str(folder.parent))}"


def _rows_of_shards(folder: Path) -> int | None:
    """Images in every shard but the last, by the manifest or by the largest shard that is whole."""
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        return int(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["per_shard"])
    rows = []
    for path in folder.glob("*.arrow"):
        with suppress(OSError, pa.ArrowInvalid):
            rows.append(pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0).num_rows)
    return max(rows, default=None)


def _remedy(folder: Path, *damaged: Path) -> str:
    """What to do about a pack: whole shards stay where the damaged files are known."""
    removed = " and ".join(quote(str(path)) for path in damaged or [folder])
    return f"remove {removed} and make it again: {_command(folder)}"
