"""Run the study: every notebook at one profile, then the verdicts.

python -m xbmlib.study [smoke|quick|full|paper|released] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import os
from concurrent.futures import ProcessPoolExecutor, as_completed

from xbmlib.datasets.shared_memory import require_locks
from xbmlib.storage import ROOT, require_writable
from xbmlib.study.ending import start_worker, stop, work
from xbmlib.study.estimate import Quicker
from xbmlib.study.execution import execute, executed
from xbmlib.study.notebook import ProfileName
from xbmlib.study.parallel import run_all
from xbmlib.study.plan import NOTEBOOKS, experiments
from xbmlib.study.profiles import PROFILES
from xbmlib.study.refusal import as_command
from xbmlib.study.summary import verdict_lines
from xbmlib.training.experiment import Experiment


def main() -> None:
    """Execute the notebooks and print the verdicts."""
    parser = argparse.ArgumentParser(prog="python -m xbmlib.study", description=__doc__)
    parser.add_argument("profile", nargs="?", default="full", choices=list(PROFILES))
    parser.add_argument(
        "--data", help="folder of SOP, In-shop and VehicleID, for the profiles paper and released"
    )
    given = parser.parse_args()
    profile = given.profile
    with as_command():
        run(profile, given.data)
        print("\n".join(verdict_lines(profile)))


def run(profile: ProfileName, data: str | None) -> None:
    """Train what is missing, then execute every notebook.

    Raises:
        one of REFUSALS: as of :mod:`xbmlib.study.refusal`, before any work.
        papermill.PapermillExecutionError: a cell failed.
    """
    require_writable(ROOT)
    require_locks()
    quicker = Quicker("PROFILE=quick", _of_all("quick", data)) if profile == "full" else None
    # The runs of all notebooks at once: notebook by notebook, cores would idle in between.
    run_all(_of_all(profile, data), quicker=quicker)
    with ProcessPoolExecutor(
        len(os.sched_getaffinity(0)), mp.get_context("spawn"), initializer=start_worker
    ) as pool:
        try:
            waiting = {pool.submit(work, execute, name, profile, data): name for name in NOTEBOOKS}
            for done in as_completed(waiting):
                done.result()
                print(f"== {waiting[done]} ({profile})", flush=True)
        except BaseException:
            stop(pool)
            raise
    print(f"\nfigures: {ROOT / 'figures' / profile}\nexecuted notebooks: {executed(profile)}\n")


def _of_all(profile: ProfileName, data: str | None) -> list[Experiment]:
    return [e for name in NOTEBOOKS for e in experiments(name, profile, data)]


if __name__ == "__main__":
    main()
