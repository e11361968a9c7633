"""Paths that users give: whether something is there, whatever the text."""

from __future__ import annotations

from pathlib import Path


def is_folder(path: Path) -> bool:
    """Whether a folder is there; not one under a name that the file system cannot have."""
    try:
        return path.is_dir()
    except OSError:  # such as a name that is too long
        return False


def is_file(path: Path) -> bool:
    """Whether a regular file is there; a pipe or a device, which may block for ever, is none."""
    try:
        return path.is_file()
    except OSError:
        return False
