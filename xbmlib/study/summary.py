"""Verdicts and tables out of results/, for the console and for the README."""

from __future__ import annotations

import json

from xbmlib.runs import ROOT, write_atomically
from xbmlib.study.notebook import Verdict

# Of each notebook, the last of these that has run.
README_PROFILES = ("quick", "full", "benchmarks")
BEGIN, END = "<!-- verdicts: python -m xbmlib.study.summary -->", "<!-- end of verdicts -->"


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


def verdict_table(profiles: tuple[str, ...]) -> str:
    """Markdown table of the verdicts, of each notebook those of the last profile that has any."""
    latest: dict[str, list[Verdict]] = {}
    for profile in profiles:
        latest |= verdicts(profile)
    rows = ["| claim | paper | ours | verdict | data |", "|---|---|---|---|---|"]
    for found in latest.values():
        rows += [
            f"| {v.claim} | {v.paper} | {v.ours} | **{v.outcome}** | {v.data} |" for v in found
        ]
    return "\n".join(rows)


def rewrite_readme(text: str) -> str:
    """The README with its table of verdicts made anew."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{verdict_table(README_PROFILES)}\n{END}{tail}"


if __name__ == "__main__":
    readme = ROOT / "README.md"
    text = rewrite_readme(readme.read_text(encoding="utf-8"))
    write_atomically(readme, lambda path: path.write_text(text, encoding="utf-8"))
