"""Figures of the study: a tidy frame in, the Axes out; one style for all."""

from xbmlib.plots.batch_size import batch_size
from xbmlib.plots.cost import cost_by_size, gain_by_time, speed
from xbmlib.plots.drift import drift_and_lemma, drift_curves, lemma
from xbmlib.plots.losses import losses
from xbmlib.plots.make_up import make_up
from xbmlib.plots.mined import mined
from xbmlib.plots.negatives import valid_negatives, valid_negatives_by_length
from xbmlib.plots.ratio import memory_ratio
from xbmlib.plots.recall_table import recall_table
from xbmlib.plots.retrieved import retrieved
from xbmlib.plots.scaling import model_check, scaling
from xbmlib.plots.scratch import starts
from xbmlib.plots.style import COLOURS, style
from xbmlib.plots.updates import updates

__all__ = [
    "COLOURS",
    "batch_size",
    "cost_by_size",
    "drift_and_lemma",
    "drift_curves",
    "gain_by_time",
    "lemma",
    "losses",
    "make_up",
    "memory_ratio",
    "mined",
    "model_check",
    "recall_table",
    "retrieved",
    "scaling",
    "speed",
    "starts",
    "style",
    "updates",
    "valid_negatives",
    "valid_negatives_by_length",
]
