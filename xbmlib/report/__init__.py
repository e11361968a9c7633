"""The study as a static site: claims, executed notebooks and an explorer of what is retrieved."""

from xbmlib.report.site import ReportError, build

__all__ = ["ReportError", "build"]
