"""All data sets by their names."""

from __future__ import annotations

from xbmlib.datasets import bundled, disk
from xbmlib.datasets.bundled import BUNDLED
from xbmlib.datasets.images import DatasetError, Retrieval
from xbmlib.datasets.published import DISK
from xbmlib.datasets.views import VIEWS

# The only view of the bundled sets: the images as rendered.
RENDERED = "rendered"


def known_views(name: str) -> tuple[str, ...]:
    """Names of the views of a data set.

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
        name: a bundled set ("hanzi", "emoji", "hangul", "scripts") or one on disk ("sop",
            "inshop", "vehicleid", "cub", "cars"), in the folder that $XBM_DATA names.
        split: "test" evaluates on the test classes; "validation" on a fifth of the training
            classes, held out, for the choice of hyper-parameters; "smoke" on a part of these.
        view: "rendered" for bundled sets; on disk "paper", "released" or "released_ms", see
            :mod:`xbmlib.datasets.views`.

    Raises:
        DatasetError: an unknown name, split or view; data that are missing or damaged.
    """
    if view not in known_views(name):
        raise DatasetError(
            f"view={view!r}: {name} has no such view; known: {', '.join(known_views(name))}"
        )
    return bundled.load(name, split) if name in BUNDLED else disk.load(name, split, view)
