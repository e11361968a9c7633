"""One run by its experiment: loaded from the store, or trained.

    python -m xbmlib.train experiment.json
    torchrun --nproc-per-node 8 -m xbmlib.train experiment.json

The file holds fields of :class:`xbmlib.training.experiment.Experiment`; what it leaves out is at
its default.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import torch.distributed as dist
from tqdm import tqdm

from xbmlib import datasets, distributed
from xbmlib.backbones.weights import WeightsError
from xbmlib.datasets import DatasetError, Retrieval
from xbmlib.training.experiment import ConfigError, Experiment
from xbmlib.training.observe import Observe, observing
from xbmlib.training.ranks import ranks_of_run
from xbmlib.training.store import Run, RunStore, run_id
from xbmlib.training.trainer import CHECKPOINT_STEPS, Progress, Trainer, fingerprints


def run_one(
    experiment: Experiment,
    store: RunStore | None = None,
    *,
    progress: Progress = lambda steps: None,
    checkpoint_steps: int = CHECKPOINT_STEPS,
    observe: Observe | None = None,
) -> Run:
    """Load the run from the store, or train it: from its checkpoint, where one is left.

    Where torch's process group has been joined (:func:`xbmlib.distributed.start`), all of its
    processes have to call this, and share the work of each step; the first writes. They need to
    see the same store.

    On one machine the numbers are the same to the last bit on a CPU with the same number of
    threads, however often the run was killed on its way.

    Args:
        experiment: what to run.
        store: where runs are kept; ``results/runs`` by default.
        progress: told the number of steps that have been completed since it was last told.
        checkpoint_steps: steps between two checkpoints.
        observe: told of each row as it is measured (:mod:`xbmlib.training.observe`); unless given,
            a TensorBoard in the folder that ``$XBM_TENSORBOARD`` names, under the run's id. Of a
            run that is loaded it is told nothing.

    A model or a loss of your own has no id: train it with :class:`xbmlib.training.trainer.Trainer`.

    Raises:
        ConfigError, DatasetError: bad input, before any training.
        ImportError: ``$XBM_TENSORBOARD`` without TensorBoard.
        FloatingPointError: a loss that is not finite.
    """
    store, ranks = store or RunStore(), ranks_of_run()
    id = identify(experiment)
    if not ranks.told(store.done(id)):
        with store.locked(id) if ranks.first else nullcontext():
            # The others wait here until the first has the lock.
            if not ranks.told(store.done(id)):
                data = datasets.load(experiment.data, experiment.split, experiment.view)
                checkpoint = store.path(id) / "checkpoint.pt"
                with observing(observe, id) if ranks.first else nullcontext() as told:
                    trainer = Trainer(experiment, data, checkpoint, observe=told)
                    trainer.train(progress, checkpoint_steps)
                result = trainer.result(id)
                if ranks.first:
                    store.save(result)
                    trainer.checkpoint.unlink(missing_ok=True)
                # And here until it has written.
                ranks.told(True)
                return store.load(id)
    progress(experiment.steps)
    return store.load(id)


def identify(experiment: Experiment) -> str:
    """The run's id in the store, once everything that can be checked has been.

    Raises:
        ConfigError, DatasetError: as :func:`run_one`.
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


def read_experiment(path: Path) -> Experiment:
    """The experiment that a JSON file holds.

    Raises:
        ConfigError: no such file, no JSON object in it, or values that cannot be.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path}: {error}; give a JSON file of an experiment") from None
    if not isinstance(values, dict):
        raise ConfigError(f'{path}: give an object, such as {{"data": "hanzi", "ratio": 0.1}}')
    return Experiment.from_dict(values)


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
        # A bar on a terminal, and there for one process only.
        quiet = None if ranks_of_run().first else True
        with tqdm(total=experiment.steps, unit="step", disable=quiet) as bar:
            found = run_one(
                experiment,
                RunStore(arguments.store),
                progress=lambda steps: bar.update(steps) and None,
                checkpoint_steps=arguments.checkpoint_steps,
            )
    except (ConfigError, DatasetError, WeightsError) as error:
        sys.exit(f"{error}")
    finally:
        if many:
            dist.destroy_process_group()
    if quiet is None:
        print(json.dumps({"id": found.id, "recall": found.recall}, ensure_ascii=False))


if __name__ == "__main__":
    main()
