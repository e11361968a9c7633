"""The storm's table: results/storm.csv, the console's lines and docs/faults.md."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from xbmlib.storage import ROOT, write_csv
from xbmlib.study.generated import rewrite

CSV = ROOT / "results" / "storm.csv"
PAGE = ROOT / "docs" / "faults.md"
COLUMNS = ["kind", "tried", "survived", "seconds", "reach", "seed", "share"]


def stored(path: Path, seed: int, share: float, order: list[str]) -> pd.DataFrame:
    """The rows of a file that belong to the same storm, in a given order of the kinds."""
    if not path.is_file():
        return pd.DataFrame(columns=COLUMNS)
    rows = pd.read_csv(path)
    same = rows[(rows["seed"] == seed) & (rows["share"] == share) & rows["kind"].isin(order)]
    return same.sort_values("kind", key=lambda kinds: kinds.map(order.index), ignore_index=True)


def keep(path: Path, row: dict[str, object], order: list[str]) -> None:
    """Put a row in place of that of its kind, whole or not at all; rows of another storm go."""
    rows = stored(path, int(str(row["seed"])), float(str(row["share"])), order)
    rows = pd.concat([rows[rows["kind"] != row["kind"]], pd.DataFrame([row])])
    rows = rows.sort_values("kind", key=lambda kinds: kinds.map(order.index))
    write_csv(path, rows[COLUMNS])


def markdown(rows: pd.DataFrame, order: list[str]) -> str:
    """The rows as a table in Markdown, and the kinds that have none."""
    lines = ["| fault | tried | survived | what it hit |", "|---|---|---|---|"]
    lines += [f"| {r.kind} | {r.tried:,} | {r.survived:,} | {r.reach} |" for r in rows.itertuples()]
    if missing := [kind for kind in order if kind not in set(rows["kind"])]:
        lines += ["", f"Not tried yet: {'; '.join(missing)}."]
    return "\n".join(lines)


def rewritten(page: str, rows: pd.DataFrame, order: list[str]) -> str:
    """docs/faults.md with its table generated from the rows."""
    return rewrite(page, {"storm": markdown(rows, order)})
