"""Pair-based losses against the batch (Eq. 1) or the memory (Eq. 4)."""

from xbmlib.losses.contrastive import ContrastiveLoss
from xbmlib.losses.multi_similarity import MultiSimilarityLoss
from xbmlib.losses.pairs import PairLoss, ValidPairs, Weighting
from xbmlib.losses.triplet import TripletLoss

__all__ = [
    "ContrastiveLoss",
    "MultiSimilarityLoss",
    "PairLoss",
    "TripletLoss",
    "ValidPairs",
    "Weighting",
]
