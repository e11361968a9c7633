"""One run by its experiment: loaded from the store, or trained."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from xbmlib import datasets
from xbmlib.config import ConfigError, Experiment
from xbmlib.datasets import Retrieval
from xbmlib.observe import Observe, observing
from xbmlib.runs import Run, RunStore, run_id
from xbmlib.trainer import CHECKPOINT_STEPS, Progress, Trainer, fingerprints


def run(
    experiment: Experiment,
    store: RunStore | None = None,
    *,
    progress: Progress = lambda steps: None,
    checkpoint_steps: int = CHECKPOINT_STEPS,
    observe: Observe | None = None,
) -> Run:
    """Load the run from the store, or train it: from its checkpoint, where one is left.

    On one machine the numbers are the same to the last bit on a CPU with the same number of
    threads, however often the run was killed on its way.

    Args:
        experiment: what to run.
        store: where runs are kept; ``results/runs`` by default.
        progress: told the number of steps that have been completed since it was last told.
        checkpoint_steps: steps between two checkpoints.
        observe: told of each row as it is measured (:mod:`xbmlib.observe`); unless given, a
            TensorBoard in the folder that ``$XBM_TENSORBOARD`` names, under the run's id. Of a
            run that is loaded it is told nothing.

    A model or a loss of your own has no id: train it with :class:`xbmlib.trainer.Trainer`.

    Raises:
        ConfigError, DatasetError: bad input, before any training.
        ImportError: ``$XBM_TENSORBOARD`` without TensorBoard.
        FloatingPointError: a loss that is not finite.
    """
    store = store or RunStore()
    id = identify(experiment)
    if not store.done(id):
        with store.locked(id) as folder:
            if not store.done(id):
                data = datasets.load(experiment.data, experiment.split, experiment.view)
                with observing(observe, id) as told:
                    trainer = Trainer(experiment, data, folder / "checkpoint.pt", observe=told)
                    trainer.train(progress, checkpoint_steps)
                store.save(trainer.result(id))
                trainer.checkpoint.unlink(missing_ok=True)
                return store.load(id)
    progress(experiment.steps)
    return store.load(id)


def identify(experiment: Experiment) -> str:
    """The run's id in the store, once everything that can be checked has been.

    Raises:
        ConfigError, DatasetError: as :func:`run`.
    """
    return identify_all([experiment])[0]


def identify_all(experiments: Iterable[Experiment]) -> list[str]:
    """As :func:`identify` each, in their order; every data set is loaded once."""
    load = cache(datasets.load)
    return [_identify(e, load(e.data, e.split, e.view)) for e in experiments]


def _identify(experiment: Experiment, data: Retrieval) -> str:
    experiment.memory_size(len(data.train))
    classes = len(data.train.classes)
    if experiment.sampler == "pk" and experiment.batch // experiment.k > classes:
        raise ConfigError(
            f"batch={experiment.batch} with k={experiment.k} takes more classes than the "
            f"{classes} of {experiment.data}: give a smaller batch or a larger k"
        )
    return run_id(experiment, *fingerprints(experiment, data))
