"""Run the study: every notebook at one profile, then the verdicts.

python -m xbmlib.study [smoke|quick|full]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from xbmlib.runs import ROOT
from xbmlib.study.profiles import PROFILES
from xbmlib.study.summary import verdict_lines

# Beside the library, wherever the results go.
SOURCES = Path(__file__).resolve().parents[2] / "notebooks"
# In the order in which a reader meets them.
NOTEBOOKS = (
    "drift_curves",
    "valid_negatives",
    "ablation_memory_ratio",
    "batch_make_up",
    "ablation_batch_size",
    "losses_with_memory",
    "cost",
    "recall_sop",
    "recall_inshop",
    "recall_vehicleid",
    "retrievals",
    "from_scratch",
)


def main() -> None:
    """Execute the notebooks and print the verdicts."""
    parser = argparse.ArgumentParser(prog="python -m xbmlib.study", description=__doc__)
    parser.add_argument("profile", nargs="?", default="quick", choices=list(PROFILES))
    profile = parser.parse_args().profile
    # Takes a second to import, and nothing else here needs it.
    from papermill import execute_notebook

    executed = ROOT / "results" / "notebooks" / profile
    executed.mkdir(parents=True, exist_ok=True)
    for name in NOTEBOOKS:
        began = time.monotonic()
        print(f"== {name} ({profile})", flush=True)
        execute_notebook(
            SOURCES / f"{name}.ipynb",
            executed / f"{name}.ipynb",
            parameters={"profile": profile},
            progress_bar=False,
            log_output=False,
            stdout_file=_Console(),
        )
        print(f"   {(time.monotonic() - began) / 60:.1f} min", flush=True)
    print(f"\nfigures: {ROOT / 'figures' / profile}\nexecuted notebooks: {executed}\n")
    print("\n".join(verdict_lines(profile)))


class _Console:
    """Passes the notebooks' progress lines on, indented."""

    def write(self, text: str) -> None:
        print("".join(f"   {line}\n" for line in text.splitlines()), end="", flush=True)

    def flush(self) -> None:
        """Nothing is held back."""


if __name__ == "__main__":
    main()
