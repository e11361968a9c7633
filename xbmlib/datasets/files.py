"""Images in files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import pyarrow as pa
from torch import Tensor

from xbmlib.datasets.encoded import EncodedImages
from xbmlib.datasets.images import DatasetError
from xbmlib.datasets.views import View


class ImageFiles(EncodedImages):
    """Labelled image files.

    Args:
        root: the folder that the paths start from.
        paths: n relative paths; stored as one Arrow array, which forked processes share and which
            a selection copies quickly.
        labels: (n,) int64.
        view: the crops of training and test.

    Raises:
        DatasetError: paths and labels differ in number.
    """

    def __init__(self, root: Path, paths: Any, labels: Tensor, view: View) -> None:
        self.root, self.labels, self.view = root, labels, view
        self.paths = paths if isinstance(paths, pa.Array) else pa.array(paths, pa.string())
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
            DatasetError: it is missing or cannot be read.
        """
        path = self.path(row)
        try:
            return path.read_bytes()
        except OSError as error:
            raise DatasetError(f"{path}: {error.strerror}; {self.remedy}") from None

    def where(self, row: int) -> str:
        """The path of one file."""
        return str(self.path(row))

    @property
    def remedy(self) -> str:
        """What to do about a damaged file."""
        return "unpack the archive of the data set again, or copy this file again"
