"""Figures of the study: a tidy frame in, the Axes out; one style for all."""

from xbmlib.plots.cost import cost_by_size, speed
from xbmlib.plots.drift import drift_curves
from xbmlib.plots.make_up import make_up
from xbmlib.plots.negatives import valid_negatives
from xbmlib.plots.ratio import memory_ratio
from xbmlib.plots.scratch import starts
from xbmlib.plots.style import COLOURS, style

__all__ = [
    "COLOURS",
    "cost_by_size",
    "drift_curves",
    "make_up",
    "memory_ratio",
    "speed",
    "starts",
    "style",
    "valid_negatives",
]
