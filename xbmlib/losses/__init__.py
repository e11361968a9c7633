"""Pair-based losses within the mini-batch (Eq. 1) or against the memory (Eq. 4).

Symbols: :mod:`xbmlib`.
"""

from xbmlib.losses.contrastive import ContrastiveLoss
from xbmlib.losses.inputs import check_call
from xbmlib.losses.metric_learning import MetricLearningLoss
from xbmlib.losses.multi_similarity import MultiSimilarityLoss
from xbmlib.losses.pairs import PairLoss, ValidPairs, Weighting
from xbmlib.losses.triplet import TripletLoss

__all__ = [
    "ContrastiveLoss",
    "MetricLearningLoss",
    "MultiSimilarityLoss",
    "PairLoss",
    "TripletLoss",
    "ValidPairs",
    "Weighting",
    "check_call",
]
