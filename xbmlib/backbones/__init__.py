"""Backbones: images to embeddings of norm 1 (Section 4.1)."""

from xbmlib.backbones.catalogue import BACKBONES, build, check_weights
from xbmlib.backbones.embedder import Embedder
from xbmlib.backbones.given import ModelError, normalised
from xbmlib.backbones.weights import WeightsError, fingerprint, save_trunk

__all__ = [
    "BACKBONES",
    "Embedder",
    "ModelError",
    "WeightsError",
    "build",
    "check_weights",
    "fingerprint",
    "normalised",
    "save_trunk",
]
