"""The study: which runs make up a figure, how they are trained, and what they say."""

from xbmlib.extras import require

for _module in ("matplotlib.pyplot", "pandas", "pydantic"):
    require(_module, extra="study")
