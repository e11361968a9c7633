"""The study as a static site: claims, executed notebooks and an explorer of retrieved images."""

from xbmlib.extras import require_installed

require_installed("PIL", "nbformat", "pandas", extra="report")

# Checks for what the notebooks need that the site executes.
import xbmlib.study  # noqa: E402, F401
