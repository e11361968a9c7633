"""SHA-256 digests of a finished run's files, so that none of them changes unnoticed.

recall.json, written last, holds its own digest and those of the files that only depend on the
experiment; provenance.json, which has the clock in it, holds its own, tied to recall.json's. Two
trainings of one run thus differ in provenance.json alone.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from xbmlib.storage import StorageError, content_digest


def sealed(record: dict[str, Any], *context: str) -> dict[str, Any]:
    """A record with its "digest".

    Args:
        record: of types that JSON has.
        context: what the record belongs to, which has to be given again to read it.
    """
    return record | {"digest": content_digest(record, *context)}


def read_sealed(path: Path, *context: str) -> dict[str, Any]:
    """The record in a JSON file, as :func:`sealed` made it, "digest" included.

    Raises:
        StorageError: it cannot be read, or is not as it was written.
    """
    try:
        found = json.loads(_read(path).decode("utf-8"))
    except (ValueError, RecursionError):
        raise _damaged(path, "no JSON") from None
    if not isinstance(found, dict) or "digest" not in found:
        raise _damaged(path, "no digest")
    record = {name: value for name, value in found.items() if name != "digest"}
    if found["digest"] != content_digest(record, *context):
        raise _damaged(path, "not the content of its digest")
    return found


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_file(path: Path, digest: str) -> bytes:
    """The bytes of a file.

    Raises:
        StorageError: it is missing, or is not what the digest was taken of.
    """
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != digest:
        raise _damaged(path, "not the content of its digest in recall.json")
    return content


def _damaged(path: Path, fault: str) -> StorageError:
    return StorageError(
        f"{path}: damaged ({fault}); restore it, for instance with git checkout, or remove the "
        f"folder {path.parent.name} to train the run again"
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _damaged(path, error.strerror or type(error).__name__) from None
