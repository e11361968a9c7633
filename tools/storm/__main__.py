"""Faults of every kind, at random moments from a seed, and what survives them.

    python -m tools.storm                      # the whole: up to 20 minutes on two quiet cores
    python -m tools.storm --share 0.02         # a fiftieth of the trials, at least one of each kind
    python -m tools.storm --kinds soak,lists   # those with such words in their names

Two kinds at a time; an interrupt starts no further one, waits for these and drops them. Each row
goes to results/storm.csv when it is made, in place of the row of its kind; rows of another seed or
share are dropped. The table of docs/faults.md follows.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from random import Random

from tools.storm import table
from tools.storm.kinds import KINDS
from tools.storm.trials import Trials
from xbmlib.storage import write_atomically

# Most kinds wait for one process at a time.
AT_A_TIME = 2


def ride_out(name: str, seed: int, share: float) -> tuple[Trials, float]:
    """The trials of one kind, in a folder of its own that is removed afterwards, and seconds."""
    kind, began = KINDS[name], time.monotonic()
    count = min(kind.count, max(kind.least, round(share * kind.count)))
    with tempfile.TemporaryDirectory(prefix="storm-", ignore_cleanup_errors=True) as place:
        try:
            trials = kind.trials(Path(place), Random(f"{seed} {name}"), count)
        except Exception as error:
            trials = Trials("the trials ended early", 1, [f"{type(error).__name__}: {error}"])
    return trials, time.monotonic() - began


def main(arguments: list[str] | None = None) -> int:
    """Run the kinds that are asked for; print and store a row of each."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.storm",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the trials, in (0, 1]")
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    parser.add_argument("--kinds", default="", help="words, separated by commas; all by default")
    parser.add_argument("--out", type=Path, default=table.CSV, help="CSV file of the rows")
    given = parser.parse_args(arguments)
    words = given.kinds.split(",")
    names = [name for name in KINDS if any(word in name for word in words)]
    if not names or not 0 < given.share <= 1:
        sys.exit(f"kinds={given.kinds!r}, share={given.share}: give words of {', '.join(KINDS)}, "
                 "and a share in (0, 1]")  # fmt: skip
    order, lost, began = list(KINDS), 0, time.monotonic()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        started = {pool.submit(ride_out, name, given.seed, given.share): name for name in names}
        try:
            for done in as_completed(started):
                lost += _add(given, started[done], *done.result())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    print(f"{(time.monotonic() - began) / 60:.1f} minutes")
    if given.out == table.CSV and table.PAGE.is_file():
        rows = table.stored(given.out, given.seed, given.share, order)
        text = table.rewritten(table.PAGE.read_text(encoding="utf-8"), rows, order)
        write_atomically(table.PAGE, lambda path: path.write_text(text, encoding="utf-8"))
    return 1 if lost else 0


def _add(given: argparse.Namespace, name: str, found: Trials, seconds: float) -> int:
    """Store and print the row of a kind; the number of its faults."""
    row = {"kind": name, "tried": found.tried, "survived": found.survived,
           "seconds": round(seconds, 1), "reach": found.reach,
           "seed": given.seed, "share": given.share}  # fmt: skip
    table.keep(given.out, row, list(KINDS))
    print(f"{name}: {found.survived:,} of {found.tried:,} survived; {found.reach}", flush=True)
    for fault in found.faults[:10]:
        print(f"    {fault}", flush=True)
    return len(found.faults)


if __name__ == "__main__":
    sys.exit(main())
