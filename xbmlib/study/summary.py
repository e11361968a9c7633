"""Stored verdicts as tables in results/, in docs/claims.md, in the README and on a console."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from xbmlib.paper.claims import CLAIMS
from xbmlib.paper.claims.claim import Claim
from xbmlib.storage import ROOT, StorageError, write_atomically, write_csv
from xbmlib.study import claims_page, readme
from xbmlib.study.execution import SOURCES
from xbmlib.study.figures import benchmarks
from xbmlib.study.generated import rewrite
from xbmlib.study.measured import measured
from xbmlib.study.refusal import as_command
from xbmlib.study.statistics import holm
from xbmlib.study.verdict import Verdict, judged

# Columns of the table of claims, and those that only it has.
OF_CLAIMS = ("name", "brief", "p", "p_holm", "error", "precision")
COLUMNS = [
    *("name", "notebook", "profile", "claim", "paper", "ours", "brief", "outcome"),
    *("p", "p_holm", "error", "precision", "data", "seeds", "rule"),
]
# Of each notebook the verdicts of the last of these profiles that has any.
README_PROFILES = ("quick", "full", "benchmarks")


class SummaryError(StorageError):
    """Verdicts that cannot be summarised: names the folder or the file, and the remedy."""


def verdicts(profile: str) -> dict[str, list[Verdict]]:
    """Stored verdicts of a profile, by notebook; those of one that no longer exists are left out.

    Raises:
        SummaryError: a file of verdicts is damaged.
    """
    folder = ROOT / "results" / "verdicts" / profile
    return {
        path.stem: _read(path)
        for path in sorted(folder.glob("*.json"))
        # An installed package has no notebooks beside it.
        if not SOURCES.is_dir() or (SOURCES / f"{path.stem}.ipynb").is_file()
    }


def _read(path: Path) -> list[Verdict]:
    try:
        return [Verdict(**v) for v in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise SummaryError(
            f"{path}: cannot be read as verdicts ({reason}); execute {path.stem}.ipynb again"
        ) from None


def verdict_lines(profile: str) -> list[str]:
    """The verdicts of a profile as plain lines for a console.

    Raises:
        SummaryError: it has none, or a file of them is damaged.
    """
    lines = []
    stored = verdicts(profile)
    if not any(stored.values()):
        raise _nothing_of(profile)
    for name, found in stored.items():
        lines.append(name)
        for v in found:
            lines += [
                f"  [{v.outcome}] {v.claim}",
                f"      paper: {v.paper}",
                f"      ours:  {v.ours}",
                f"      data:  {v.data}",
            ]
    return lines


def claims(profiles: tuple[str, ...] = README_PROFILES) -> pd.DataFrame:
    """What came out of every claim of the paper, at the last of the profiles that has a verdict.

    Returns:
        One row per claim, in the paper's order: name, notebook, profile, claim, paper, ours,
        brief, outcome, p, p_holm, error, precision, data, seeds, rule; most as in
        :class:`xbmlib.study.verdict.Verdict`. p_holm is p adjusted over all claims that are tested.
        A claim that no notebook has judged is "not testable here".

    Raises:
        SummaryError: no profile has any verdict, or a file of them is damaged.
    """
    found = {row["name"]: row for row in _latest(profiles) if row["name"]}
    rows = [found.get(claim.name) or _open(claim) for claim in CLAIMS]
    table = pd.DataFrame(rows)
    tested = table["p"].notna()
    table.loc[tested, "p_holm"] = holm(table.loc[tested, "p"].tolist())
    return table.reindex(columns=COLUMNS)


def followups(profiles: tuple[str, ...] = README_PROFILES) -> pd.DataFrame:
    """What came out of the further questions, which count as none of the paper's claims.

    Returns:
        One row per question: notebook, profile, claim, paper, ours, outcome, data, seeds, rule.

    Raises:
        SummaryError: as :func:`claims`.
    """
    rows = [row for row in _latest(profiles) if not row["name"]]
    return pd.DataFrame(rows, columns=[name for name in COLUMNS if name not in OF_CLAIMS])


def _latest(profiles: tuple[str, ...]) -> list[dict[str, Any]]:
    """The verdicts of each notebook at the last of the profiles that has any."""
    latest: dict[str, tuple[str, list[Verdict]]] = {}
    for profile in profiles:
        latest |= {name: (profile, found) for name, found in verdicts(profile).items() if found}
    if not latest:
        raise _nothing_of(*profiles)
    return [
        {"notebook": name, "profile": profile} | v.model_dump()
        for name, (profile, found) in sorted(latest.items())
        for v in found
    ]


def _nothing_of(*profiles: str) -> SummaryError:
    """What is said where no profile has any verdict."""
    return SummaryError(
        f"{ROOT / 'results' / 'verdicts'}: no verdicts of {', '.join(profiles)}; execute the "
        "notebooks first (python -m xbmlib.study), or set XBM_ROOT to the folder that holds "
        "results/"
    )


def _open(claim: Claim) -> dict[str, Any]:
    """The row of a claim that no notebook has judged."""
    nothing = judged(claim, {}, data="", names={}, unit="")
    return {"notebook": "", "profile": ""} | nothing.model_dump()


def rewrite_readme(text: str) -> str:
    """The README with its parts generated from results/."""
    found = claims()
    runs = measured("diagnosis", (ROOT,))
    return rewrite(
        text,
        {
            "conclusion": readme.conclusion(found),
            "headlines": readme.table(found),
            "calibration": readme.calibration(runs),
            "data": readme.data_sets(),
            "effort": readme.effort(ROOT / "results" / "runs"),
            "storm": readme.storm(measured("storm", (ROOT,))),
        },
    )


def rewrite_results(text: str) -> str:
    """docs/results.md with its parts generated from results/."""
    trials = measured("search_protocol", (ROOT,))
    speed = [measured(name, (ROOT,)) for name in ("benchmarks", "input", "waiting")]
    missed = [f"- {sentence}." for sentence in benchmarks.missed(*speed)]
    parts = {
        "protocol": readme.protocol(trials),
        "speed": "\n".join(missed or ["None is missed."]),
    }
    return rewrite(text, parts)


def main() -> None:
    """Write results/claims.csv and followups.csv; in a checkout, README and docs/ too."""
    ArgumentParser(prog="python -m xbmlib.study.summary", description=__doc__).parse_args()
    with as_command():
        found, further = claims(), followups()
        write_csv(ROOT / "results" / "claims.csv", found)
        write_csv(ROOT / "results" / "followups.csv", further)
        if (ROOT / "README.md").is_file():
            # Both are read before either is written.
            pages = {
                ROOT / name: _rewritten(ROOT / name, rewrite)
                for name, rewrite in (
                    ("README.md", rewrite_readme), ("docs/results.md", rewrite_results)
                )
            }  # fmt: skip
            pages[ROOT / "docs" / "claims.md"] = claims_page.page(found, further)
            for path, text in pages.items():
                _write(path, text)


def _rewritten(path: Path, rewrite: Callable[[str], str]) -> str:
    """A page of the checkout with its generated parts."""
    try:
        return rewrite(path.read_text(encoding="utf-8"))
    except StorageError:
        raise
    except (OSError, ValueError) as error:
        raise SummaryError(
            f"{path}: cannot be rewritten ({error}); set XBM_ROOT to a checkout, or to a folder "
            "without README.md"
        ) from None


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


if __name__ == "__main__":
    main()
