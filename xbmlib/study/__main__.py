"""Run the study: every notebook at one profile, then the verdicts.

python -m xbmlib.study [smoke|quick|full|paper|released] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import time

from xbmlib.runs import ROOT
from xbmlib.study.execution import execute, executed
from xbmlib.study.plan import STUDIES
from xbmlib.study.profiles import PROFILES
from xbmlib.study.summary import verdict_lines

# In the order in which a reader meets them.
NOTEBOOKS = tuple(STUDIES)


def main() -> None:
    """Execute the notebooks and print the verdicts."""
    parser = argparse.ArgumentParser(prog="python -m xbmlib.study", description=__doc__)
    parser.add_argument("profile", nargs="?", default="quick", choices=list(PROFILES))
    parser.add_argument(
        "--data", help="folder of SOP, In-shop and VehicleID, for the profiles paper and released"
    )
    given = parser.parse_args()
    profile = given.profile
    for name in NOTEBOOKS:
        began = time.monotonic()
        print(f"== {name} ({profile})", flush=True)
        execute(name, profile, given.data)
        print(f"   {(time.monotonic() - began) / 60:.1f} min", flush=True)
    print(f"\nfigures: {ROOT / 'figures' / profile}\nexecuted notebooks: {executed(profile)}\n")
    print("\n".join(verdict_lines(profile)))


if __name__ == "__main__":
    main()
