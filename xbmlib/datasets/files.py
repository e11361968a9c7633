"""Images in files of their own."""

from __future__ import annotations

import os
import stat
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
from torch import Tensor

from xbmlib.datasets.encoded import EncodedImages
from xbmlib.datasets.images import DatasetError
from xbmlib.datasets.views import View

# Systems without it have no pipes among their files.
O_NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)


class ImageFiles(EncodedImages):
    """Labelled image files.

    Args:
        root: the folder that the paths start from; it may be a link, and links within it may lead
            to other files of it, but not out of it.
        paths: n relative paths; stored as one Arrow array, which forked processes share and which
            a selection copies quickly.
        labels: (n,) int64.
        view: the crops of training and test.

    Raises:
        DatasetError: paths and labels differ in number, or the name of a view in its place.
    """

    def __init__(self, root: Path, paths: Any, labels: Tensor, view: View) -> None:
        if not isinstance(view, View):
            raise DatasetError(f"view={view!r}: give one of xbmlib.datasets.views.VIEWS itself")
        self.root, self.labels, self.view = Path(root), labels, view
        self.paths = (
            paths if isinstance(paths, pa.Array) else pa.array(map(os.fspath, paths), pa.string())
        )
        if len(self.paths) != len(labels):
            raise DatasetError(
                f"{len(self.paths)} paths and {len(labels)} labels: give one label per path"
            )

    def select(self, rows: Tensor) -> Self:
        """The images of these rows, in the order of ``rows``."""
        return type(self)(self.root, self.paths.take(rows.numpy()), self.labels[rows], self.view)

    def path(self, row: int) -> Path:
        """The file of one image."""
        return self.root / self.paths[row].as_py()

    def encoded(self, row: int) -> bytes:
        """The bytes of one file.

        Raises:
            DatasetError: it is missing or cannot be read, is a pipe or a device, or a link leads
            out of the folder of the data set.
        """
        path = self.path(row)
        real = os.path.realpath(path)
        if not real.startswith(self._inside):
            raise DatasetError(
                f"{path}: a link that leads to {real}, out of the folder of the data set; put a "
                "copy of the file in its place"
            )
        try:
            # Without waiting, so that a pipe nobody writes to does not block for ever.
            with open(real, "rb", opener=lambda at, flags: os.open(at, flags | O_NONBLOCK)) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise DatasetError(f"{path}: not a regular file; {self.remedy}")
                return file.read()
        except OSError as error:
            raise DatasetError(f"{path}: {error.strerror}; {self.remedy}") from None

    @cached_property
    def _inside(self) -> str:
        """What the real path of every image starts with."""
        return os.path.join(os.path.realpath(self.root), "")

    def where(self, row: int) -> str:
        """The path of one file."""
        return str(self.path(row))

    @property
    def remedy(self) -> str:
        """What to do about a damaged file."""
        return "unpack the archive of the data set again, or copy this file again"
