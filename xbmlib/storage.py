"""The folder of results, and files that are written whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

CHECKOUT = Path(__file__).resolve().parent.parent


def _root() -> Path:
    """The folder of results/ and figures/: $XBM_ROOT, the checkout, or the working directory."""
    if named := os.environ.get("XBM_ROOT"):
        return Path(named).resolve()
    return CHECKOUT if (CHECKOUT / "pyproject.toml").is_file() else Path.cwd()


ROOT = _root()


class StorageError(OSError):
    """A file or folder of results that cannot be used: names it, the fault and the remedy."""


# What the system refuses for reasons that a user can remove, in words.
_FAULTS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "larger than the file size limit",
    errno.EROFS: "on a read-only file system",
    errno.EACCES: "no permission to write",
    errno.EPERM: "no permission to write",
    errno.ENOTDIR: "a file is where a folder belongs",
    errno.EEXIST: "a file is where a folder belongs",
    errno.EISDIR: "a folder is where a file belongs",
    errno.ENAMETOOLONG: "the name is too long",
}


def explain(path: Path, error: OSError) -> OSError:
    """The error in one line with the path and the remedy; itself where the fault is another."""
    if isinstance(error, StorageError) or error.errno not in _FAULTS:
        return error
    return StorageError(
        f"{path}: {_FAULTS[error.errno]}; make room or choose another folder (XBM_ROOT for results)"
    )


def require_writable(folder: Path, room: int = 1 << 20) -> None:
    """Make a folder and try it, before the work starts whose results it is to hold.

    Args:
        folder: made with its parents where it is missing.
        room: bytes that have to be free.

    Raises:
        StorageError: the folder cannot be made or written to, or has less room.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Without a name wherever the system can, so that no kill leaves it.
        with tempfile.TemporaryFile(dir=folder) as file:
            # A quota is noticed by nothing but writing.
            file.write(bytes(1 << 16))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise explain(folder, error) from error
    if (free := shutil.disk_usage(folder).free) < room:
        raise StorageError(
            f"{folder}: {room / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB free; make room "
            "or choose another folder (XBM_ROOT for results)"
        )


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then rename it to ``path``.

    Once this returns, the file survives a power failure too, and no temporary file that a killed
    process began for the same path is left.

    Raises:
        StorageError: a disk that is full or read-only, or a path that cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        try:
            with temporary.open("wb") as held:
                _hold(held)
                write(temporary)
                _sync(temporary)
                os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise explain(path, error) from error
    # Some file systems cannot sync a folder; the file is in place there all the same.
    with suppress(OSError):
        _sync(path.parent)


def _hold(file: IO[bytes]) -> bool:
    """Take a file's lock, which the system releases however the process ends; whether it was free.

    A file system without locks has none to take.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_abandoned(path: Path) -> None:
    """Remove the temporary files of a path whose writers have been killed."""
    for temporary in path.parent.glob(f".{escape(path.name)}.*.tmp"):
        with suppress(OSError), temporary.open("rb") as file:
            if _hold(file):
                temporary.unlink()


def _sync(path: Path) -> None:
    """Have the disk hold a file's content, or a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys, whole or not at all."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame as CSV of six significant digits, whole or not at all."""
    write_atomically(path, lambda p: frame.to_csv(p, index=False, float_format="%.6g"))


def content_digest(record: dict[str, Any], *context: str) -> str:
    """SHA-256 of a record of JSON's types: white space and the order of names do not count.

    Args:
        record: the content.
        context: what it belongs to.
    """
    return hashlib.sha256(json.dumps([record, *context], sort_keys=True).encode()).hexdigest()
