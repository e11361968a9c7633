"""Stanford Cars, Cars-196 (Krause et al., 3dRR 2013)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from xbmlib.datasets.images import DatasetError
from xbmlib.datasets.listing import Line, ListedImages, Listing
from xbmlib.extras import require_installed

FILES = (("cars_annos.mat",),)
# The first half of the classes trains, the usual split of metric learning (Oh Song et al., 2016).
TRAINED = 98
PROGRAM = Path(__file__).with_name("annotations.py")
# Given to it; the published file takes some three.
SECONDS = 60
# Every path in the list starts with it.
LISTED = "car_ims/"


def read(files: list[Path], images: str) -> Listing:
    """Read cars_annos.mat, a MATLAB file: one entry of ``annotations`` per image.

    Raises:
        DatasetError: an unreadable file, or an entry that is impossible, given as its line.
        MissingExtra: SciPy is not installed.
    """
    require_installed("scipy", extra="study")
    found = ListedImages(images)
    for i, (path, label) in enumerate(_annotations(files[0]), 1):
        line = Line(files[0], i, [path, label])
        if not path.startswith(LISTED):
            raise line.error(f"{path!r} should start with {LISTED!r}")
        number = line.integer(1)
        part = "train" if number <= TRAINED else "test"
        found.add(line, path.removeprefix(LISTED), number, part)
    return found.listing(files)


def _annotations(file: Path) -> list[tuple[str, str]]:
    """Path and class of each annotation, read by a process that a damaged file may end."""
    command = [sys.executable, "-I", str(PROGRAM), str(file)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        reason = f"its reader had not ended after {SECONDS} s"
    else:
        if done.returncode == 0:
            return [(path, label) for path, label in json.loads(done.stdout)]
        reason = done.stderr.strip().rpartition("\n")[2]
        if done.returncode < 0:
            reason = f"its reader was ended by {signal.Signals(-done.returncode).name}"
    raise DatasetError(f"{file}: cannot be read as cars_annos.mat ({reason}); copy it again")
