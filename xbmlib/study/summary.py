"""Stored verdicts as results/claims.csv, as the README's table and as lines for a console."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd

from xbmlib.storage import ROOT, write_atomically, write_csv
from xbmlib.study.verdict import Verdict

# Of each notebook the verdicts of the last of these profiles that has any.
README_PROFILES = ("quick", "full", "benchmarks")
BEGIN, END = "<!-- verdicts: python -m xbmlib.study.summary -->", "<!-- end of verdicts -->"


class SummaryError(ValueError):
    """Verdicts that cannot be summarised: names the folder or the file, and the remedy."""


def verdicts(profile: str) -> dict[str, list[Verdict]]:
    """Stored verdicts of a profile, by notebook.

    Raises:
        SummaryError: a file of verdicts is damaged.
    """
    folder = ROOT / "results" / "verdicts" / profile
    return {path.stem: _read(path) for path in sorted(folder.glob("*.json"))}


def _read(path: Path) -> list[Verdict]:
    try:
        return [Verdict(**v) for v in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise SummaryError(
            f"{path}: cannot be read as verdicts ({reason}); execute {path.stem}.ipynb again"
        ) from None


def verdict_lines(profile: str) -> list[str]:
    """The verdicts of a profile as plain lines for a console."""
    lines = []
    for name, found in verdicts(profile).items():
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
    """The verdicts of each notebook at the last of the profiles that has any.

    Returns:
        One row per claim: notebook, profile, claim, paper, ours, outcome, data, seeds, rule.

    Raises:
        SummaryError: no profile has any, or a file of them is damaged.
    """
    latest: dict[str, tuple[str, list[Verdict]]] = {}
    for profile in profiles:
        latest |= {name: (profile, found) for name, found in verdicts(profile).items()}
    if not latest:
        raise SummaryError(
            f"{ROOT / 'results' / 'verdicts'}: no verdicts of {', '.join(profiles)}; execute the "
            "notebooks first (python -m xbmlib.study), or set XBM_ROOT to the folder that holds "
            "results/"
        )
    return pd.DataFrame(
        [
            {"notebook": name, "profile": profile} | v.model_dump()
            for name, (profile, found) in sorted(latest.items())
            for v in found
        ]
    )[["notebook", "profile", "claim", "paper", "ours", "outcome", "data", "seeds", "rule"]]


def table(rows: pd.DataFrame) -> str:
    """The claims as a table in Markdown."""
    lines = ["| claim | paper | ours | verdict | data |", "|---|---|---|---|---|"]
    lines += [
        f"| {v.claim} | {v.paper} | {v.ours} | **{v.outcome}** | {v.data} |"
        for v in rows.itertuples()
    ]
    return "\n".join(lines)


def rewrite_readme(text: str) -> str:
    """The README with its table of verdicts generated from the stored ones."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table(claims())}\n{END}{tail}"


def main() -> None:
    """Write results/claims.csv, and the README's table where there is a README."""
    try:
        write_csv(ROOT / "results" / "claims.csv", claims())
    except SummaryError as error:
        sys.exit(str(error))
    if (readme := ROOT / "README.md").is_file():
        text = rewrite_readme(readme.read_text(encoding="utf-8"))
        write_atomically(readme, lambda path: path.write_text(text, encoding="utf-8"))


if __name__ == "__main__":
    main()
