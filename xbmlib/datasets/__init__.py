"""Image sets, splits and protocols."""

from xbmlib.datasets.embedded import load
from xbmlib.datasets.images import DatasetError, Images, ImageSet, Retrieval

__all__ = ["DatasetError", "ImageSet", "Images", "Retrieval", "load"]
