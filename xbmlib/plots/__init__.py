"""Figures of the study, one module per notebook: a tidy frame in, the Axes out, in one style."""

from importlib.util import find_spec

from xbmlib.extras import needs, require

if find_spec("seaborn") is None:  # which half of the plots import, and no other part of the library
    require("seaborn", extra="study")
with needs("study"):
    from xbmlib.plots.style import COLOURS, style

__all__ = ["COLOURS", "style"]
