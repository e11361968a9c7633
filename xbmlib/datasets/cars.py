"""Stanford Cars, Cars-196 (Krause et al., 3dRR 2013)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from xbmlib.datasets.images import DatasetError
from xbmlib.datasets.listing import Line, ListedImages, Listing

FILES = (("cars_annos.mat",),)
# The first half of the classes trains, the usual split of metric learning (Oh Song et al., 2016).
TRAINED = 98
# The names in the list start with it.
LISTED = "car_ims/"


def read(files: list[Path], images: str) -> Listing:
    """Read cars_annos.mat, a MATLAB file: an entry of ``annotations`` an image.

    Raises:
        DatasetError: a file that cannot be right, with its entry as its line.
    """
    from scipy.io import loadmat  # a second's worth of SciPy, for this data set alone

    try:
        annotations = np.atleast_1d(loadmat(files[0], squeeze_me=True)["annotations"])
        paths, classes = annotations["relative_im_path"], annotations["class"]
    except Exception as error:  # what is no MATLAB file, or another one, fails in many ways
        raise DatasetError(
            f"{files[0]}: cannot be read as cars_annos.mat ({type(error).__name__}: {error}); "
            "copy it anew"
        ) from error
    found = ListedImages(images)
    for i, (path, of) in enumerate(zip(paths, classes, strict=True), 1):
        line = Line(files[0], i, [str(path), str(of)])
        if not line.fields[0].startswith(LISTED):
            raise line.wrong(f"{path!r} should start with {LISTED!r}")
        label = line.integer(1)
        part = "train" if label <= TRAINED else "test"
        found.add(line, line.fields[0].removeprefix(LISTED), label, part)
    return found.listing(files)
