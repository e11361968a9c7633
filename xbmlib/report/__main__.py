"""Build the report of a profile whose notebooks have been executed.

python -m xbmlib.report [smoke|quick|full]
"""

from __future__ import annotations

import argparse
import sys

from xbmlib.extras import MissingExtra, command_needs

with command_needs("report"):
    from xbmlib.report.site import ReportError, build
    from xbmlib.study.profiles import PROFILES


def main() -> None:
    """Build the site and print the path of its first page."""
    parser = argparse.ArgumentParser(prog="python -m xbmlib.report", description=__doc__)
    parser.add_argument("profile", nargs="?", default="quick", choices=list(PROFILES))
    try:
        print(f"report: {build(parser.parse_args().profile)}")
    except (ReportError, MissingExtra) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
