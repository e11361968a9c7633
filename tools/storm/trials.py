"""What became of the trials of one kind of fault, and what two folders have to agree in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# Of two trainings of one run, these entries of provenance.json alone differ.
CLOCK = {"seconds": 0, "commit": "", "digest": ""}


@dataclass
class Trials:
    """The trials of one kind of fault.

    Attributes:
        reach: what the trials turned out to hit, in words.
        tried: number of trials.
        faults: one line for each trial that was not survived.
    """

    reach: str = ""
    tried: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, fault: str = "") -> None:
        """Count one trial, survived unless it has a fault."""
        self.tried += 1
        if fault:
            self.faults.append(fault)

    @property
    def survived(self) -> int:
        """Number of trials without a fault."""
        return self.tried - len(self.faults)


def contents(folder: Path) -> dict[str, object]:
    """The files of a folder by their relative paths, hidden ones too, as bytes.

    Of a run's provenance.json, all but the clock, the commit and the digest of these.
    """
    found: dict[str, object] = {}
    for path in sorted(p for p in folder.rglob("*") if not p.is_dir()):
        content: object = path.read_bytes()
        if path.name == "provenance.json":
            content = json.loads(path.read_bytes()) | CLOCK
        found[path.relative_to(folder).as_posix()] = content
    return found


def difference(folder: Path, whole: dict[str, object]) -> str:
    """The first file in which a folder differs from :func:`contents` of another; "" for none."""
    found = contents(folder)
    names = sorted(n for n in found.keys() | whole.keys() if found.get(n) != whole.get(n))
    if not names:
        return ""
    kind = "left" if names[0] not in whole else "missing" if names[0] not in found else "differs"
    return f"{names[0]} {kind}"


def half_written(folder: Path) -> Iterator[Path]:
    """The temporary files in a folder and below it."""
    return folder.rglob(".*.tmp")
