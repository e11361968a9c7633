"""Backbones: images to unit vectors (Section 4.1)."""

from xbmlib.backbones.embedder import Embedder, build
from xbmlib.backbones.given import ModelError, normalised
from xbmlib.backbones.weights import WeightsError, fingerprint, save_trunk

__all__ = [
    "Embedder",
    "ModelError",
    "WeightsError",
    "build",
    "fingerprint",
    "normalised",
    "save_trunk",
]
