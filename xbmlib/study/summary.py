"""Verdicts and tables out of results/, for the console and for the README."""

from __future__ import annotations

import json

from xbmlib.runs import ROOT
from xbmlib.study.notebook import Verdict


def verdicts(profile: str) -> dict[str, list[Verdict]]:
    """Stored verdicts of a profile, by notebook."""
    folder = ROOT / "results" / "verdicts" / profile
    return {
        path.stem: [Verdict(**v) for v in json.loads(path.read_text(encoding="utf-8"))]
        for path in sorted(folder.glob("*.json"))
    }


def verdict_lines(profile: str) -> list[str]:
    """Plain lines for a console."""
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


def verdict_table(profile: str) -> str:
    """Markdown table of the verdicts."""
    rows = ["| claim | paper | ours | verdict | data |", "|---|---|---|---|---|"]
    for found in verdicts(profile).values():
        rows += [
            f"| {v.claim} | {v.paper} | {v.ours} | **{v.outcome}** | {v.data} |" for v in found
        ]
    return "\n".join(rows)
