"""The run store: one folder per run, written atomically, locked, resumable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from xbmlib.storage import ROOT, StorageError, explain, write_atomically, write_json
from xbmlib.training.digests import file_digest, read_file, read_sealed, sealed
from xbmlib.training.experiment import ConfigError, Experiment
from xbmlib.training.tables import read_table

# Raise it when a change makes the same experiment give other numbers: stored runs then no longer
# stand for it.
TRAINING_VERSION = 1

# The tables of a run, each in a file of its name if it has rows.
FRAMES = ("metrics", "drift", "neighbours", "mined")
# What a run goes on from, and what makes it finished: written last, with the others' digests.
CHECKPOINT, LAST = "checkpoint.pt", "recall.json"
FILES = (".lock", CHECKPOINT, "config.json", *(f"{n}.parquet" for n in FRAMES), "provenance.json",
         LAST)  # fmt: skip


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

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     store = RunStore(Path(folder) / "runs")
        ...     store.ids(), store.done("0" * 16), store.path("0" * 16).name
        ([], False, '0000000000000000')
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = ROOT / "results" / "runs" if folder is None else Path(folder)

    def path(self, id: str) -> Path:
        """Folder of one run, whether it exists or not."""
        return self.folder / id

    def checkpoint(self, id: str) -> Path:
        """The file that a run resumes from."""
        return self.path(id) / CHECKPOINT

    def done(self, id: str) -> bool:
        """Whether the run has finished: its recall is written last."""
        return (self.path(id) / LAST).is_file()

    @contextmanager
    def locked(self, id: str) -> Iterator[Path]:
        """Lock one run's folder; a second process waits, and then finds the run done.

        Raises:
            StorageError: the folder cannot be made or written to, or holds a folder where one of
                the run's files belongs.
        """
        folder = self.path(id)
        lock = FileLock(folder / ".lock")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for path in (folder / name for name in FILES):
                if path.exists() and not path.is_file():
                    raise StorageError(f"{path}: not a file; remove it")
            lock.acquire()
        except OSError as error:
            raise explain(folder, error) from error
        try:
            # No other process writes here now: half-written files are left by one that was killed.
            _remove(folder, ".*.tmp")
            yield folder
        finally:
            lock.release()
        if self.done(id):
            _remove(folder, ".lock")

    def save(self, run: Run) -> None:
        """Write a finished run, which counts as done once its last file is in place.

        Raises:
            StorageError: a disk that is full or read-only.
        """
        folder = self.path(run.id)
        # Until the new files are in place, there is no finished run.
        (folder / LAST).unlink(missing_ok=True)
        names = ["config.json"]
        write_json(folder / "config.json", run.experiment.model_dump())
        for name in FRAMES:
            path = folder / f"{name}.parquet"
            if len(frame := getattr(run, name)):
                write_atomically(path, frame.to_parquet)
                names.append(path.name)
            else:
                path.unlink(missing_ok=True)
        files = {name: file_digest(folder / name) for name in names}
        record = sealed({"final": run.recall, "history": run.history, "files": files})
        write_json(folder / "provenance.json", sealed(run.provenance, record["digest"]))
        write_json(folder / LAST, record)

    def tidy(self, id: str) -> None:
        """Remove what a finished run no longer needs, which a killed process may have left."""
        if self.done(id):
            for pattern in (f"{CHECKPOINT}*", ".lock", ".*.tmp"):
                _remove(self.path(id), pattern)

    def load(self, id: str) -> Run:
        """Read a finished run, every file of it checked against its digest.

        Raises:
            StorageError: a file is missing, damaged or that of another run, or a table has more
                rows than a run logs.
            ConfigError: a field of the experiment had another default when the run was made.
        """
        self.tidy(id)
        folder = self.path(id)
        record = read_sealed(folder / LAST)
        provenance = read_sealed(folder / "provenance.json", record["digest"])
        del provenance["digest"]
        experiment = self._experiment(record, id)
        if run_id(experiment, *provenance["fingerprints"]) != id:
            raise ConfigError(
                f"run {id} is another run under this name (remove its folder), or was made with "
                "another default of some field of Experiment (restore the default, or raise "
                "TRAINING_VERSION in xbmlib/training/store.py)"
            )
        tables = {name: f"{name}.parquet" for name in FRAMES}
        frames = {
            name: read_table(folder / file, read_file(folder / file, record["files"][file]))
            if file in record["files"]
            else pd.DataFrame()
            for name, file in tables.items()
        }
        return Run(
            id=id,
            experiment=experiment,
            recall=record["final"],
            history=record["history"],
            provenance=provenance,
            **frames,
        )

    def experiment(self, id: str) -> Experiment:
        """The experiment of a finished run.

        Raises:
            StorageError: its file is damaged.
        """
        return self._experiment(read_sealed(self.path(id) / LAST), id)

    def _experiment(self, record: dict[str, Any], id: str) -> Experiment:
        path = self.path(id) / "config.json"
        values = json.loads(read_file(path, record["files"][path.name]))
        try:
            return Experiment.from_dict(values)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    def ids(self) -> list[str]:
        """Ids of all finished runs."""
        return sorted(p.parent.name for p in self.folder.glob(f"*/{LAST}") if p.is_file())


def _remove(folder: Path, pattern: str) -> None:
    """Remove the files of a pattern, so far as the folder can be written to."""
    for path in folder.glob(pattern):
        with suppress(OSError):
            path.unlink()
