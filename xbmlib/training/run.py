"""One run by its experiment: loaded from the store, or trained.

    python -m xbmlib.train experiment.json
    torchrun --nproc-per-node 8 -m xbmlib.train experiment.json

The file holds fields of :class:`xbmlib.training.experiment.Experiment`; those that it leaves out
have their defaults.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import torch.distributed as dist
from tqdm import tqdm

from xbmlib import datasets, distributed
from xbmlib.backbones import WeightsError, check_weights
from xbmlib.datasets import DatasetError, Retrieval
from xbmlib.extras import MissingExtra
from xbmlib.storage import StorageError, require_writable
from xbmlib.training.build import fingerprints
from xbmlib.training.callbacks import Callback, ReportProgress, TensorBoard
from xbmlib.training.callbacks.progress import Progress
from xbmlib.training.checkpoint import checkpoint_size, set_aside
from xbmlib.training.checks import (
    check_checkpoint_steps,
    check_fit,
    check_folder,
    check_protocol,
)
from xbmlib.training.experiment import ConfigError, Experiment
from xbmlib.training.ranks import ranks_of_run
from xbmlib.training.store import Run, RunStore, run_id
from xbmlib.training.trainer import CHECKPOINT_STEPS, Trainer

# What a command line says in one line: what it was given, and a training that diverged.
_IN_ONE_LINE = (
    ConfigError, DatasetError, StorageError, WeightsError, MissingExtra, FloatingPointError,
)  # fmt: skip
TABLES = 4 << 20  # bytes of a stored run's tables, estimated generously


def run_experiment(
    experiment: Experiment,
    store: RunStore | None = None,
    *,
    progress: Progress = lambda steps: None,
    checkpoint_steps: int = CHECKPOINT_STEPS,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Load the run from the store, or train it, from its checkpoint if there is one.

    Where torch's process group has been joined (:func:`xbmlib.distributed.start`), all of its
    processes have to call this, and share the work of each step; the main one writes. They need
    to see the same store.

    On a CPU, the numbers are the same bit for bit on one machine with the same number of
    threads, however often the run was killed on its way.

    Args:
        experiment: what to run.
        store: where runs are kept; ``results/runs`` by default.
        progress: called with the number of steps completed since the last call; with all of them
            for a run that is loaded.
        checkpoint_steps: steps between two checkpoints.
        callbacks: of the training (:mod:`xbmlib.training.callbacks`); not called for a run that is
            loaded. Unless a TensorBoard is among them, there is one in the folder that
            ``$XBM_TENSORBOARD`` names, under the run's id.

    A custom model or loss has no id: train it with :class:`xbmlib.training.trainer.Trainer`.

    Raises:
        ConfigError, DatasetError, WeightsError: bad input, before any training.
        StorageError: a store that is full, read-only or no folder, before any training; or a
            finished run whose files are damaged, which is not trained over.
        ImportError: ``$XBM_TENSORBOARD`` without TensorBoard.
        FloatingPointError: a loss that is not finite.
    """
    store, ranks = store or RunStore(), ranks_of_run()
    check_checkpoint_steps(checkpoint_steps)
    check_folder(store.folder, "store")
    id = identify(experiment)
    if not ranks.broadcast(store.done(id)):
        with store.locked(id) if ranks.is_main else nullcontext():
            # The others wait here until the main rank has the lock.
            if not ranks.broadcast(store.done(id)):
                watching = [*callbacks]
                if ranks.is_main and not any(isinstance(c, TensorBoard) for c in callbacks):
                    watching += TensorBoard.from_environment(id)
                watching.append(ReportProgress(progress))
                data = datasets.load(experiment.data, experiment.split, experiment.view)
                checkpoint = store.checkpoint(id)
                if ranks.is_main:
                    set_aside(checkpoint, id)
                trainer = Trainer(experiment, data, checkpoint, callbacks=watching)
                if ranks.is_main:
                    # A new checkpoint is written before the old one is replaced.
                    require_writable(store.path(id), 2 * checkpoint_size(trainer) + TABLES)
                trainer.train(checkpoint_steps)
                if ranks.is_main:
                    store.save(trainer.result(id))
                    store.tidy(id)
                # And here until it has written.
                ranks.broadcast(True)
                return store.load(id)
    progress(experiment.steps)
    return store.load(id)


def identify(experiment: Experiment) -> str:
    """The run's id in the store, after every check that needs no training.

    Raises:
        ConfigError, DatasetError, WeightsError: as :func:`run_experiment`.
    """
    return identify_all([experiment])[0]


def identify_all(experiments: Iterable[Experiment]) -> list[str]:
    """:func:`identify` for several, in their order; data sets and weights are read once."""

    @cache
    def load(name: str, split: str, view: str) -> Retrieval:
        data = datasets.load(name, split, view)
        check_protocol(data)
        return data

    fit = cache(check_weights)

    def one(e: Experiment) -> str:
        data = load(e.data, e.split, e.view)
        check_fit(e, data)
        if e.weights is not None:
            fit(e.backbone, e.weights, data.train.channels)
        return run_id(e, *fingerprints(e, data))

    return [one(e) for e in experiments]


def read_experiment(path: Path) -> Experiment:
    """The experiment that a JSON file holds.

    Raises:
        ConfigError: no such file, no JSON object in it, or invalid values.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}; give a JSON file of an experiment") from None
    try:
        return Experiment.from_json(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def main() -> None:
    """Run one experiment and print its id and recall."""
    parser = argparse.ArgumentParser(
        prog="python -m xbmlib.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("experiment", type=Path, help="JSON file")
    parser.add_argument("--store", type=Path, help="folder of the runs (results/runs)")
    parser.add_argument(
        "--checkpoint-steps", type=int, default=CHECKPOINT_STEPS, help="between two checkpoints"
    )
    arguments = parser.parse_args()
    many = dist.is_torchelastic_launched()
    if many:
        distributed.start()
    try:
        experiment = read_experiment(arguments.experiment)
        # A bar on a terminal, and there for the main rank only.
        quiet = None if ranks_of_run().is_main else True
        with tqdm(total=experiment.steps, unit="step", disable=quiet) as bar:
            found = run_experiment(
                experiment,
                RunStore(arguments.store),
                progress=lambda steps: bar.update(steps) and None,
                checkpoint_steps=arguments.checkpoint_steps,
            )
    except _IN_ONE_LINE as error:
        # Every process of a machine finds the same fault in what they are all given.
        common = isinstance(error, (ConfigError, WeightsError))
        sys.exit(1 if common and os.environ.get("LOCAL_RANK", "0") != "0" else f"{error}")
    finally:
        if many:
            dist.destroy_process_group()
    if quiet is None:
        print(json.dumps({"id": found.id, "recall": found.recall}, ensure_ascii=False))


if __name__ == "__main__":
    main()
