"""Pack the images of a data set into a few large files, once.

    python -m xbmlib.datasets.pack sop --view paper   # at the size that this view crops from
    python -m xbmlib.datasets.pack sop --original     # the original bytes, for any view

The pack goes to $XBM_DATA, where ``xbmlib.datasets.load`` finds it, unless ``--to`` says otherwise.
Started again after an interruption, it makes the shards that are missing.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from filelock import FileLock
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from xbmlib.datasets.disk import root
from xbmlib.datasets.files import ImageFiles
from xbmlib.datasets.images import DatasetError
from xbmlib.datasets.orphans import follow_parent
from xbmlib.datasets.packed import (
    MANIFEST,
    ORIGINAL,
    PER_SHARD,
    QUALITY,
    RESIZED,
    open_shard,
    pack_path,
    read_manifest,
    shard_path,
)
from xbmlib.datasets.published import DISK
from xbmlib.datasets.shared_memory import reading_processes
from xbmlib.datasets.views import VIEWS
from xbmlib.storage import (
    StorageError,
    content_digest,
    require_writable,
    write_atomically,
    write_json,
)

SCHEMA = pa.schema([("path", pa.string()), ("label", pa.int64()), ("image", pa.large_binary())])
# Key in a shard's metadata: the fingerprint of the pack that it belongs to.
OF = b"fingerprint"


class _Contents(Dataset[bytes | DatasetError]):
    """The bytes to pack of each image; an error is returned, for the caller to raise unchanged."""

    def __init__(self, images: ImageFiles, original: bool) -> None:
        self.images, self.original = images, original

    def __getitem__(self, row: int) -> bytes | DatasetError:
        try:
            image = self.images.decoded(row)  # original bytes too: a damaged image is not packed
            if self.original:
                return self.images.encoded(row)
        except DatasetError as error:
            return error
        jpeg = io.BytesIO()
        pixels = self.images.view.resized(image).permute(1, 2, 0).contiguous().numpy()
        Image.fromarray(pixels).save(jpeg, "JPEG", quality=QUALITY)
        return jpeg.getvalue()


def _contents(
    images: ImageFiles, original: bool, rows: list[int], workers: int | None
) -> Iterator[bytes]:
    """The bytes to pack of each of these images, in their order."""
    # Without a variable that holds it, the loader ends its processes once an error is raised.
    for content in DataLoader(
        _Contents(images, original),
        batch_size=None,
        sampler=rows,
        # Bytes come through pipes and take no shared memory, but its locks.
        num_workers=reading_processes(0) if workers is None else workers,
        worker_init_fn=_follow_parent,
    ):
        if isinstance(content, DatasetError):
            raise content
        yield content


def _follow_parent(worker: int) -> None:
    follow_parent()


def pack(
    name: str,
    view: str,
    base: Path,
    to: Path,
    *,
    per_shard: int = PER_SHARD,
    workers: int | None = None,
) -> Path:
    """Make the pack of a data set, or the shards that it lacks.

    Args:
        name: of a data set on disk.
        view: that it is for: the images are resized as the view does before it crops, and stored
            as JPEG of quality 95; or "original" for the original bytes.
        base: folder that holds the data set.
        to: folder in which to make the pack's folder.
        per_shard: images in a shard, >= 1.
        workers: processes that read and encode; by default one per core.

    Returns:
        The pack's folder.

    Raises:
        DatasetError: an image cannot be read, the folder holds a pack of other lists, or ``to`` is
            a file.
        StorageError: the folder cannot be made or written to.
    """
    if per_shard < 1:
        raise DatasetError(f"per_shard={per_shard}: give at least 1")
    if os.path.exists(to) and not to.is_dir():
        raise DatasetError(f"{to}: a file; give a folder to make the pack in")
    folder = DISK[name].folder(base)
    listing = DISK[name].listing(folder)
    original = view == ORIGINAL
    images = DISK[name].loose(folder, listing, VIEWS["paper" if original else view])
    fingerprint = listing.fingerprint(view, "" if original else RESIZED)
    shards = [range(len(images))[at : at + per_shard] for at in range(0, len(images), per_shard)]
    into = pack_path(to, name, view)
    require_writable(into)
    lock = into / ".lock"
    with FileLock(lock):
        made = read_manifest(into)
        if made is not None and made["fingerprint"] != fingerprint:
            raise _other(into)
        if made is not None:
            lock.unlink(missing_ok=True)
            return into
        for leftover in into.glob(".*.tmp"):  # from a process that was killed
            leftover.unlink()
        missing = [
            i
            for i, rows in enumerate(shards)
            if not _made(into, i, images.paths[rows.start : rows.stop], fingerprint)
        ]
        rows = list(chain.from_iterable(shards[i] for i in missing))
        contents = _contents(images, original, rows, workers)
        done = len(images) - sum(len(shards[i]) for i in missing)
        with tqdm(total=len(images), initial=done, unit="image", mininterval=5) as bar:
            for i in missing:
                batch = list(islice(contents, len(shards[i])))
                bar.update(len(batch))
                _write(shard_path(into, i), images, shards[i], batch, fingerprint)
        sizes = [shard_path(into, i).stat().st_size for i in range(len(shards))]
        manifest = {"fingerprint": fingerprint, "per_shard": per_shard, "bytes": sizes}
        write_json(into / MANIFEST, manifest | {"digest": content_digest(manifest)})
        # Whoever waits for it finds the pack made.
        lock.unlink(missing_ok=True)
    return into


def _write(
    path: Path, images: ImageFiles, rows: range, contents: list[bytes], fingerprint: str
) -> None:
    """Write one shard, whole or not at all."""
    at = slice(rows.start, rows.stop)
    columns = [images.paths[at], images.labels[at].numpy(), contents]
    batch = pa.record_batch(columns, schema=SCHEMA.with_metadata({OF: fingerprint.encode()}))

    def write(temporary: Path) -> None:
        with pa.ipc.new_file(str(temporary), batch.schema) as file:
            file.write_batch(batch)

    write_atomically(path, write)


def _made(into: Path, number: int, paths: Any, fingerprint: str) -> bool:
    """Whether the shard of these paths has been made already.

    Raises:
        DatasetError: it is damaged, or of another pack.
    """
    if not (path := shard_path(into, number)).is_file():
        return False
    shard = open_shard(path)
    if shard.schema.metadata.get(OF) != fingerprint.encode() or shard["path"] != paths:
        raise _other(into)
    return True


def _other(into: Path) -> DatasetError:
    return DatasetError(
        f"{into}: holds images of other lists, or shards of another size; remove it first"
    )


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, pack, and print the path of the pack."""
    parser = argparse.ArgumentParser(
        prog="python -m xbmlib.datasets.pack",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=DISK)
    parser.add_argument("--root", type=Path, help="folder of the data sets; $XBM_DATA by default")
    parser.add_argument("--to", type=Path, help="folder to make the pack in; the root by default")
    parser.add_argument("--per-shard", type=int, default=PER_SHARD, help="images in a shard")
    stored = parser.add_mutually_exclusive_group(required=True)
    stored.add_argument("--view", choices=VIEWS, help="resized for this view, JPEG of quality 95")
    stored.add_argument(
        "--original", action="store_const", const=ORIGINAL, dest="view", help="the original bytes"
    )
    given = parser.parse_args(arguments)
    try:
        base = given.root or root()
        into = pack(given.name, given.view, base, given.to or base, per_shard=given.per_shard)
    except (DatasetError, StorageError) as error:
        print(error, file=sys.stderr)
        return 1
    print(into)
    return 0


if __name__ == "__main__":
    sys.exit(main())
