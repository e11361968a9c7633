"""The run store: one folder per run, written atomically, locked, resumable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from xbmlib.storage import ROOT, write_atomically, write_json
from xbmlib.training.experiment import ConfigError, Experiment

# Raise it when a change makes the same experiment give other numbers: stored runs then no longer
# stand for it.
TRAINING_VERSION = 1

# The tables of a run, each in a file of its name if it has rows.
FRAMES = ("metrics", "drift", "neighbours", "mined")


def run_id(experiment: Experiment, *fingerprints: str) -> str:
    """Hash of what determines a run's numbers: experiment, data and weights, training version.

    Fields at their defaults are left out, so that a new hyper-parameter, whose default changes
    nothing, keeps the ids of stored runs.
    """
    identity = [experiment.model_dump(exclude_defaults=True), *fingerprints, TRAINING_VERSION]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Run:
    """A finished run: its experiment and what it measured.

    Attributes:
        id: in the store, of :func:`run_id`.
        experiment: what was run.
        recall: "R@K" and "MAP@R", fractions in [0, 1], after the last step.
        history: the same at every evaluation, with its "step".
        metrics: one row per logged step (:class:`xbmlib.training.callbacks.Metrics`).
        drift: one row per step and Δt (:class:`xbmlib.training.callbacks.DriftProbes`), or none.
        provenance: fingerprints of data and weights, versions, device, seconds, seed.
        neighbours: nearest images of a sample of queries, or no rows
            (:mod:`xbmlib.training.callbacks.neighbours`).
        mined: pairs of some anchors of the last step, or no rows
            (:mod:`xbmlib.training.callbacks.mined_pairs`).
    """

    id: str
    experiment: Experiment
    recall: dict[str, float]
    history: list[dict[str, float]]
    metrics: pd.DataFrame
    drift: pd.DataFrame
    provenance: dict[str, Any]
    neighbours: pd.DataFrame = field(default_factory=pd.DataFrame)
    mined: pd.DataFrame = field(default_factory=pd.DataFrame)


class RunStore:
    """Folder of runs, ``results/runs`` by default.

    Args:
        folder: made when the first run is written.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or ROOT / "results" / "runs"

    def path(self, id: str) -> Path:
        """Folder of one run, whether it exists or not."""
        return self.folder / id

    def done(self, id: str) -> bool:
        """Whether the run has finished: its recall is written last."""
        return (self.path(id) / "recall.json").is_file()

    @contextmanager
    def locked(self, id: str) -> Iterator[Path]:
        """Lock one run's folder; a second process waits, and then finds the run done."""
        folder = self.path(id)
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        with lock:
            # No other process writes here now: half-written files are left by one that was killed.
            for left in folder.glob(".*.tmp"):
                left.unlink()
            yield folder
        if self.done(id):
            (folder / ".lock").unlink(missing_ok=True)

    def save(self, run: Run) -> None:
        """Write a finished run, which counts as done once its last file is in place."""
        folder = self.path(run.id)
        write_json(folder / "config.json", run.experiment.model_dump())
        for name in FRAMES:
            if len(frame := getattr(run, name)):
                write_atomically(folder / f"{name}.parquet", frame.to_parquet)
        write_json(folder / "provenance.json", run.provenance)
        write_json(folder / "recall.json", {"final": run.recall, "history": run.history})

    def load(self, id: str) -> Run:
        """Read a finished run.

        Raises:
            ConfigError: a field of the experiment had another default when the run was made.
        """
        folder = self.path(id)
        recall, provenance = (
            json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
            for name in ("recall", "provenance")
        )
        experiment = self.experiment(id)
        if run_id(experiment, *provenance["fingerprints"]) != id:
            raise ConfigError(
                f"run {id} was made with another default of some field of Experiment: raise "
                "TRAINING_VERSION in xbmlib/training/store.py, or remove the run"
            )
        frames = {
            name: pd.read_parquet(path)
            if (path := folder / f"{name}.parquet").is_file()
            else pd.DataFrame()
            for name in FRAMES
        }
        return Run(
            id=id,
            experiment=experiment,
            recall=recall["final"],
            history=recall["history"],
            provenance=provenance,
            **frames,
        )

    def experiment(self, id: str) -> Experiment:
        """The experiment of a finished run."""
        text = (self.path(id) / "config.json").read_text(encoding="utf-8")
        return Experiment.from_dict(json.loads(text))

    def ids(self) -> list[str]:
        """Ids of all finished runs."""
        return sorted(p.parent.name for p in self.folder.glob("*/recall.json"))
