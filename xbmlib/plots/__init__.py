"""Figures of the study, a module a notebook: a tidy frame in, the Axes out; one style for all."""

from xbmlib.plots.style import COLOURS, style

__all__ = ["COLOURS", "style"]
