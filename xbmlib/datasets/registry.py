"""All data sets by their names."""

from __future__ import annotations

from xbmlib.datasets import bundled, disk
from xbmlib.datasets.bundled import BUNDLED
from xbmlib.datasets.disk import DISK
from xbmlib.datasets.images import DatasetError, Retrieval
from xbmlib.datasets.views import VIEWS

# The only view of the embedded sets: they are drawn, and seen as they are.
RENDERED = "rendered"


def known_views(name: str) -> tuple[str, ...]:
    """The views that a data set can be seen through.

    Raises:
        DatasetError: an unknown name.
    """
    if name in BUNDLED:
        return (RENDERED,)
    if name in DISK:
        return tuple(VIEWS)
    raise DatasetError(f"data={name!r}: no such data set; known: {', '.join([*BUNDLED, *DISK])}")


def load(name: str, split: str = "test", view: str = RENDERED) -> Retrieval:
    """Load a data set.

    Args:
        name: an embedded set ("hanzi", "emoji", "hangul", "scripts") or one on disk ("sop",
            "inshop", "vehicleid", "cub", "cars"), in the folder that $XBM_DATA names.
        split: "test" measures on the test classes; "validation" on a fifth of the training
            classes, held out, for the choice of hyper-parameters.
        view: "rendered" for embedded sets; on disk "paper", "released" or "released_ms", see
            :mod:`xbmlib.datasets.views`.

    Raises:
        DatasetError: an unknown name, split or view; data that are missing or cannot be right.
    """
    if view not in known_views(name):
        raise DatasetError(
            f"view={view!r}: {name} is seen as one of: {', '.join(known_views(name))}"
        )
    return bundled.load(name, split) if name in BUNDLED else disk.load(name, split, view)
