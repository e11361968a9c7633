"""Stanford Cars, Cars-196 (Krause et al., 3dRR 2013)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from xbmlib.datasets.images import DatasetError
from xbmlib.datasets.listing import Line, ListedImages, Listing

FILES = (("cars_annos.mat",),)
# The first half of the classes trains, the usual split of metric learning (Oh Song et al., 2016).
TRAINED = 98
# Every path in the list starts with it.
LISTED = "car_ims/"


def read(files: list[Path], images: str) -> Listing:
    """Read cars_annos.mat, a MATLAB file: one entry of ``annotations`` per image.

    Raises:
        DatasetError: an unreadable file, or an entry that is impossible, given as its line.
    """
    from scipy.io import loadmat  # a second to import, for this data set alone

    try:
        annotations = np.atleast_1d(loadmat(files[0], squeeze_me=True)["annotations"])
        paths, classes = annotations["relative_im_path"], annotations["class"]
    except Exception as error:  # a file of another kind or content fails in many ways
        raise DatasetError(
            f"{files[0]}: cannot be read as cars_annos.mat ({type(error).__name__}: {error}); "
            "copy it again"
        ) from error
    found = ListedImages(images)
    for i, (path, label) in enumerate(zip(paths, classes, strict=True), 1):
        line = Line(files[0], i, [str(path), str(label)])
        if not line.fields[0].startswith(LISTED):
            raise line.error(f"{path!r} should start with {LISTED!r}")
        number = line.integer(1)
        part = "train" if number <= TRAINED else "test"
        found.add(line, line.fields[0].removeprefix(LISTED), number, part)
    return found.listing(files)
