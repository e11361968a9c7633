"""Backbones: images to unit vectors (Section 4.1)."""

from xbmlib.backbones.embedder import Embedder, build
from xbmlib.backbones.weights import WeightsError, fingerprint, save_trunk

__all__ = ["Embedder", "WeightsError", "build", "fingerprint", "save_trunk"]
