"""Image sets, splits and protocols."""

from xbmlib.datasets.embedded import load
from xbmlib.datasets.images import DatasetError, ImageSet, Retrieval

__all__ = ["DatasetError", "ImageSet", "Retrieval", "load"]
