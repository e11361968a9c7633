"""Image sets, bundled and on disk, their splits and protocols."""

from xbmlib.extras import needs, require_installed

with needs("study"):
    from xbmlib.datasets.disk import differences, root
    from xbmlib.datasets.files import ImageFiles
    from xbmlib.datasets.images import DatasetError, Images, ImageSet, Retrieval
    from xbmlib.datasets.packed import Packed
    from xbmlib.datasets.registry import known_views, load

# What xbmlib.datasets.pack imports beside.
require_installed("filelock", "tqdm", extra="study")

__all__ = [
    "DatasetError",
    "ImageFiles",
    "ImageSet",
    "Images",
    "Packed",
    "Retrieval",
    "differences",
    "known_views",
    "load",
    "root",
]
