"""Run the study: every notebook at one profile, then the verdicts.

python -m xbmlib.study [smoke|quick|full|paper|released] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed

from xbmlib.storage import ROOT, StorageError, require_writable
from xbmlib.study.execution import execute, executed
from xbmlib.study.parallel import run_all
from xbmlib.study.plan import NOTEBOOKS, experiments
from xbmlib.study.profiles import PROFILES
from xbmlib.study.summary import verdict_lines
from xbmlib.training.shared_memory import require_locks


def main() -> None:
    """Execute the notebooks and print the verdicts."""
    parser = argparse.ArgumentParser(prog="python -m xbmlib.study", description=__doc__)
    parser.add_argument("profile", nargs="?", default="full", choices=list(PROFILES))
    parser.add_argument(
        "--data", help="folder of SOP, In-shop and VehicleID, for the profiles paper and released"
    )
    given = parser.parse_args()
    profile = given.profile
    # The runs of all notebooks at once: notebook by notebook, cores would idle in between.
    try:
        require_writable(ROOT)
        require_locks()
        run_all(e for name in NOTEBOOKS for e in experiments(name, profile, given.data))
    except StorageError as error:
        sys.exit(f"{error}")
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp.get_context("spawn")) as pool:
        waiting = {pool.submit(execute, name, profile, given.data): name for name in NOTEBOOKS}
        for done in as_completed(waiting):
            done.result()
            print(f"== {waiting[done]} ({profile})", flush=True)
    print(f"\nfigures: {ROOT / 'figures' / profile}\nexecuted notebooks: {executed(profile)}\n")
    print("\n".join(verdict_lines(profile)))


if __name__ == "__main__":
    main()
