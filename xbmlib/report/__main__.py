"""Build the report of a profile whose notebooks have been executed.

python -m xbmlib.report [smoke|quick|full]
"""

from __future__ import annotations

import argparse
import sys

from xbmlib.study.execution import executed


def main() -> None:
    """Build the site and print the path of its first page."""
    parser = argparse.ArgumentParser(prog="python -m xbmlib.report", description=__doc__)
    parser.add_argument("profile", nargs="?", default="full")
    profile = parser.parse_args().profile
    # Before the imports below, which take longer than any other part of a refusal.
    if not any(executed(profile).glob("*.ipynb")):
        sys.exit(
            f"profile={profile!r}: no executed notebooks in {executed(profile)}: "
            f"run python -m xbmlib.study {profile}"
        )
    from xbmlib.report.site import build
    from xbmlib.study.refusal import as_command

    with as_command():
        print(f"report: {build(profile)}")


if __name__ == "__main__":
    main()
