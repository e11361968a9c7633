"""One training run: the loop of Algorithm 1 and its state; callbacks measure and report it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.profiler import record_function

from xbmlib import bfloat16
from xbmlib.datasets import Images, Retrieval
from xbmlib.datasets.transforms import random_resized_crop, to_float
from xbmlib.losses import check_call
from xbmlib.queue import Queue, initialise
from xbmlib.training import build
from xbmlib.training.callbacks import Callback, LossPart, Row, Step, measurements, states
from xbmlib.training.callbacks.evaluation import evaluate
from xbmlib.training.checkpoint import load_checkpoint, save_checkpoint
from xbmlib.training.checks import check_checkpoint_steps, check_fit, check_protocol
from xbmlib.training.experiment import Experiment
from xbmlib.training.loading import (
    TESTED,
    Batch,
    crop_generator,
    sampled_batches,
    test_batches,
    training_batches,
)
from xbmlib.training.provenance import provenance
from xbmlib.training.ranks import ranks_of_run
from xbmlib.training.schedule import Schedule
from xbmlib.training.store import Run, run_id
from xbmlib.training.tables import MEASURED, Tables

CHECKPOINT_STEPS = 500


class Trainer:
    """The state of one run, and its loop.

    Args:
        experiment: what to run.
        data: the data set that it names.
        checkpoint: file that the state is written to, and resumed from if it exists.
        model: (B, C, H, W) float in [0, 1] to (B, D), in place of the backbone that the experiment
            names; its vectors are scaled to unit norm (:func:`xbmlib.backbones.normalised`).
        loss: called as a :class:`xbmlib.losses.PairLoss`, in place of the experiment's; its own
            parameters are trained too.
        callbacks: called in this order, after those that measure what the experiment asks for.

    The run store identifies a run by its experiment: with a custom model or loss, keep what
    :meth:`result` returns elsewhere, under any id.

    Raises:
        ValueError: data, weights, a model, a loss or a checkpoint that do not fit.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from xbmlib.datasets import ImageSet
        >>> images = torch.arange(40 * 1024).reshape(40, 1, 32, 32).to(torch.uint8)
        >>> part = ImageSet(images, torch.arange(40) // 4)
        >>> data = Retrieval("mine", part, part, None, ks=(1,), fingerprint="example")
        >>> e = Experiment(data="mine", dim=8, ratio=1.0, batch=16, steps=2, start=1, evaluations=1)
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(1024, 8))
        >>> with TemporaryDirectory() as folder:
        ...     trainer = Trainer(e, data, Path(folder) / "state.pt", model=net)
        ...     trainer.train()
        >>> trainer.step, len(trainer.memory), sorted(trainer.result("mine").recall)
        (2, 16, ['MAP@R', 'R@1'])
    """

    def __init__(
        self,
        experiment: Experiment,
        data: Retrieval,
        checkpoint: Path,
        *,
        model: nn.Module | None = None,
        loss: nn.Module | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        e = self.experiment = experiment
        self.data, self.checkpoint = data, Path(checkpoint)
        self.ranks = ranks_of_run()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if loss is not None:
            check_call(loss)
            self.ranks.require_one_process("a custom loss")
        check_protocol(data)
        check_fit(e, data, custom_model=model is not None)
        self.fingerprints = build.fingerprints(e, data, model, loss)
        self._id = run_id(e, *self.fingerprints)
        torch.manual_seed(e.seed)
        self.model = self.ranks.model(build.build_model(e, data, self.device, model))
        self.model.to(memory_format=torch.channels_last)
        self.loss = (build.build_loss(e) if loss is None else loss).to(self.device)
        self.optimiser = build.build_optimiser(e, self.model, self.loss)
        self.schedule = Schedule(e, self.optimiser)
        self.memory = build.build_memory(e, len(data.train), self.device, self.ranks)
        self.callbacks: Sequence[Callback] = [*measurements(e, data), *callbacks]
        self.rows: dict[str, list[Row]] = {table: [] for table in MEASURED}
        self.tables: dict[str, pd.DataFrame] = Tables()
        self.absent: dict[str, Any] = {}
        self.step, self.seconds = 0, 0.0
        # Before the first step: nothing after the last may lose a run.
        self.provenance = provenance(self.device)
        if self.ranks.broadcast(self.checkpoint.is_file()):
            load_checkpoint(self, self.checkpoint, self._id)

    def train(self, checkpoint_steps: int = CHECKPOINT_STEPS) -> None:
        """Run from the present step to the last, with a checkpoint every so many steps."""
        check_checkpoint_steps(checkpoint_steps)
        began, before = time.monotonic(), self.seconds
        self.model.train()
        for callback in self.callbacks:
            callback.on_start(self)
        # Refused before the first step rather than at the first checkpoint.
        states.of(self.callbacks)
        for images, labels, ids in self.batches():
            step = self.update(images, labels, ids)
            for callback in self.callbacks:
                callback.on_step(self, step)
            self.seconds = before + time.monotonic() - began
            if self.step % checkpoint_steps == 0 and self.step < self.experiment.steps:
                self.save()
        for callback in self.callbacks:
            callback.on_end(self)

    def batches(self) -> Iterator[Batch]:
        """The batches of the present step and of those that follow: this rank's share."""
        e = self.experiment
        return training_batches(e, self.data.train, self.step, self.ranks.share(e.batch))

    def update(self, images: Tensor, labels: Tensor, ids: Tensor) -> Step:
        """One iteration of Algorithm 1, on a batch as :meth:`batches` yields them.

        Args:
            images: (b, C, H, W) uint8, this rank's share of the batch's m images.
            labels: (b,) int64.
            ids: (b,) int64, rows of the training set.
        """
        e, t = self.experiment, self.step
        memory = self.memory if t >= e.start else None
        if memory is not None and t == e.start and e.init == "sample":
            self._sample(memory)
        rate = self.schedule.set(t)
        x = self._crop(images)
        with record_function("xbm: forward"), self._autocast():
            v = self.model(x.contiguous(memory_format=torch.channels_last))
        v, labels, ids = self.ranks.gather(v, labels.to(self.device), ids.to(self.device))
        total, own = v.new_zeros(()), None
        parts: dict[str, LossPart] = {}
        if e.batch_loss or memory is None:
            with record_function("xbm: batch loss"):
                value = self.loss(v, labels)
            total, parts["batch"] = total + value, LossPart.of(self.loss, value)
        if memory is not None:
            with record_function("xbm: enqueue"):
                own = memory.enqueue(v, labels, ids)
            with record_function("xbm: memory loss"):
                value = self.ranks.memory_loss(self.loss, v, labels, memory, own)
            total, parts["memory"] = total + e.memory_weight * value, LossPart.of(self.loss, value)
        self.optimiser.zero_grad()
        with record_function("xbm: backward"):
            self.ranks.backward(total, self.model)
        with record_function("xbm: optimiser"):
            self.optimiser.step()
        self.step += 1
        return Step(t, rate, v.detach(), labels, ids, own, total.detach(), parts)

    def log(self, table: str, row: Row) -> None:
        """Keep a row with the run, under its "step", and pass a copy of it to every callback.

        Raises:
            ValueError: a table of the run itself, whose rows would be taken for measurements.
            TypeError: a value that is no plain Python number, which could not be stored.
        """
        if table in MEASURED:
            raise ValueError(
                f"table={table!r}: {', '.join(MEASURED)} are the run's own; give another name"
            )
        self.measured(table, row)

    def measured(self, table: str, row: Row) -> None:
        """:meth:`log` for the callbacks that measure what the run consists of.

        Raises:
            TypeError: as :meth:`log`.
        """
        for name, value in row.items():
            # Refused now: stored, it would fail after the last step, and the run be lost.
            if type(value) not in (bool, int, float):
                kind = f"{type(value).__module__}.{type(value).__name__}"
                raise TypeError(f"{table}[{name!r}], a {kind}: log plain Python numbers")
        row = {"step": self.step} | row
        self.rows.setdefault(table, []).append(row)
        for callback in self.callbacks:
            callback.on_log(self, table, dict(row))

    @torch.no_grad()
    def embed(self, images: Images, batch: int = TESTED) -> Tensor:
        """Embeddings (n, D) of images, in evaluation mode; every rank has to call it."""
        self.model.eval()
        batches = test_batches(self.ranks.shard(images), batch)
        out = [self._embed(x) for x, _, _ in batches]
        self.model.train()
        return self.ranks.all_gather(torch.cat(out), len(images))

    def evaluate(self) -> dict[str, float]:
        """What :func:`xbmlib.training.callbacks.evaluation.evaluate` measures, as fractions."""
        return evaluate(self.data, self.embed)

    def _embed(self, images: Tensor) -> Tensor:
        x = to_float(images.to(self.device)).contiguous(memory_format=torch.channels_last)
        with self._autocast():
            return self.model(x)

    def _autocast(self) -> AbstractContextManager[None]:
        return bfloat16.autocast(self.device, self.experiment.precision == "bf16")

    def _crop(self, images: Tensor) -> Tensor:
        """This rank's share of a batch in float, cropped at random where images are rendered."""
        e = self.experiment
        with record_function("xbm: crop"):
            x = to_float(images.to(self.device, non_blocking=True))
            if e.view != "rendered":
                return x
            # Randomness is a function of (seed, step): a resumed run needs no history of it.
            generator, first = crop_generator(e.seed, self.step), self.ranks.share(e.batch).start
            return random_resized_crop(x, e.crop, generator, batch=e.batch, first=first)

    def _sample(self, memory: Queue) -> None:
        """Section 3.3: features of randomly sampled training images by the warmed-up model."""
        self.model.eval()
        batches = sampled_batches(self.data.train, memory.size, self.experiment.seed)
        initialise(memory, torch.no_grad()(self._embed_shared), batches)
        self.model.train()

    def _embed_shared(self, images: Tensor) -> Tensor:
        """Embeddings of a batch that all ranks have, each rank computing its share."""
        share = self.ranks.share(len(images))
        return self.ranks.all_gather(self._embed(images[share]), len(images))

    def save(self) -> None:
        """Write the checkpoint; every rank has to call it."""
        save_checkpoint(self, self.checkpoint, self._id)

    def result(self, id: str) -> Run:
        """What the finished run measured."""
        history = self.rows["evaluation"]
        return Run(
            id=id,
            experiment=self.experiment,
            recall={k: v for k, v in history[-1].items() if k != "step"},
            history=history,
            metrics=pd.DataFrame(self.rows["step"]),
            drift=pd.DataFrame(self.rows["drift"]),
            provenance=self.provenance
            | {
                "seconds": round(self.seconds, 1),
                "seed": self.experiment.seed,
                "fingerprints": self.fingerprints,
            },
            **self.tables,
        )
