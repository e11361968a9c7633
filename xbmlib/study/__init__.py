"""The study: which runs make up a figure, how they are trained, and what they say."""

from xbmlib.extras import require_installed

# Not imported yet: a command that refuses does so at once.
require_installed("matplotlib", "pandas", "pydantic", extra="study")
