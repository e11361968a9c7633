"""Figures of the study, one module per notebook: a tidy frame in, the Axes out, in one style."""

from xbmlib.extras import needs

with needs("study"):
    from xbmlib.plots.style import COLOURS, style

__all__ = ["COLOURS", "style"]
