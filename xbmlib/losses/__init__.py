"""Pair-based losses against the batch (Eq. 1) or the memory (Eq. 4)."""

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
