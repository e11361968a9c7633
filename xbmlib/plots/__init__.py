"""Figures of the study: a tidy frame in, the Axes out; one style for all."""

from xbmlib.plots.drift import drift_curves
from xbmlib.plots.negatives import valid_negatives
from xbmlib.plots.ratio import memory_ratio
from xbmlib.plots.scratch import starts
from xbmlib.plots.style import COLOURS, style

__all__ = ["COLOURS", "drift_curves", "memory_ratio", "starts", "style", "valid_negatives"]
