"""One training run: loader -> embedder -> queue -> loss -> optimiser, with probes (Algorithm 1)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.profiler import record_function

from xbmlib import backbones
from xbmlib.datasets import Images, Retrieval
from xbmlib.datasets.transforms import random_resized_crop, to_float
from xbmlib.drift import DriftProbe, gradient_errors
from xbmlib.losses import ContrastiveLoss, MultiSimilarityLoss, PairLoss, TripletLoss, check_call
from xbmlib.queue import CrossBatchMemory, Queue, initialise
from xbmlib.storage import write_atomically
from xbmlib.training.evaluation import evaluate
from xbmlib.training.experiment import ConfigError, Experiment
from xbmlib.training.loading import Batch, crop_generator, test_batches, training_batches
from xbmlib.training.mined import mined
from xbmlib.training.observe import Observe, ages
from xbmlib.training.provenance import provenance
from xbmlib.training.ranks import Memory, Ranks, ranks_of_run
from xbmlib.training.retrieved import retrieved
from xbmlib.training.schedule import Schedule
from xbmlib.training.store import Run, run_id

CHECKPOINT_STEPS = 500
DRIFT_TIMES = 48

Progress = Callable[[int], None]


class Trainer:
    """The state of one run, and its loop.

    Args:
        experiment: what to run.
        data: the data set that it names.
        checkpoint: file that the state is kept in while the run lasts.
        model: (B, C, H, W) float in [0, 1] to (B, D), in place of the backbone that the experiment
            names; its vectors are brought to unit length (:func:`xbmlib.backbones.normalised`).
        loss: called as a :class:`xbmlib.losses.PairLoss`, in place of the experiment's; parameters
            of its own are trained too.
        observe: told of each row as it is measured (:mod:`xbmlib.training.observe`); it changes no
            number.

    An id of the run store knows only what an experiment names: with a model or a loss given, take
    what was measured from :meth:`result`, under any name, and keep it elsewhere.

    Raises:
        ValueError: weights, a model, a loss or a checkpoint that do not fit.
    """

    def __init__(
        self,
        experiment: Experiment,
        data: Retrieval,
        checkpoint: Path,
        *,
        model: nn.Module | None = None,
        loss: nn.Module | None = None,
        observe: Observe | None = None,
    ) -> None:
        e = self.experiment = experiment
        self.data, self.checkpoint, self.observe = data, checkpoint, observe
        self.ranks = ranks_of_run()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(e.seed)
        self.model: nn.Module
        if model is None:
            self.fingerprints = fingerprints(e, data)
            self.model = backbones.build(
                e.backbone,
                e.dim,
                e.weights,
                pooling=e.pooling,
                channels=data.train.channels,
                freeze_bn=e.freeze_bn,
            )
        else:
            self.fingerprints = [data.fingerprint, f"model: {model!r}"]
            trial = to_float(data.train.fetch(torch.arange(2)).to(self.device))
            self.model = backbones.normalised(model, trial, e.dim if e.ratio else None)
        self.model = self.ranks.model(self.model.to(self.device))
        self.model.to(memory_format=torch.channels_last)
        if loss is not None:
            check_call(loss)
            self.ranks.check_alone("a loss of one's own")
            self.fingerprints.append(f"loss: {loss!r}")
        self.loss = (build_loss(e) if loss is None else loss).to(self.device)
        self.optimiser = torch.optim.Adam(
            [*self.model.parameters(), *self.loss.parameters()],
            e.lr,
            weight_decay=e.weight_decay,
            fused=True,
        )
        self.schedule = Schedule(e, self.optimiser)
        self.memory = build_memory(e, len(data.train), self.device, self.ranks)
        every = max(1, e.steps // DRIFT_TIMES)
        self.drift = DriftProbe(e.drift, range(0, e.steps + 1, every))
        chosen = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(e.seed))
        self.probes = data.train.select(chosen[: e.probes])
        self.step, self.seconds = 0, 0.0
        self.metrics: list[dict[str, float]] = []
        self.drifts: list[dict[str, float]] = []
        self.history: list[dict[str, float]] = []
        self.mined = pd.DataFrame()
        if self.ranks.told(checkpoint.is_file()):
            self._load()

    def train(
        self, progress: Progress = lambda steps: None, checkpoint_steps: int = CHECKPOINT_STEPS
    ) -> None:
        """Go on from the present step to the last."""
        e, began, before = self.experiment, time.monotonic(), self.seconds
        progress(self.step)
        self._tell("start", {"step": self.step})
        # Measured before the checkpoint, at the very step from which on all told is void.
        self._tell("drift", *(row for row in self.drifts if row["step"] == self.step))
        self._tell("evaluation", *(row for row in self.history if row["step"] == self.step))
        evaluate_at = {round(i * e.steps / e.evaluations) for i in range(1, e.evaluations + 1)}
        if self.step == 0:
            self._probe()
        self.model.train()
        for images, labels, ids in self.batches():
            self.update(images, labels, ids)
            self._probe()
            if self.step in evaluate_at:
                self.history.append({"step": self.step, **self.evaluate()})
                self.schedule.observe(self.history[-1]["R@1"])
                self._tell("evaluation", self.history[-1])
            self.seconds = before + time.monotonic() - began
            if self.step % checkpoint_steps == 0 and self.step < e.steps:
                self._save()
            progress(1)

    def batches(self) -> Iterator[Batch]:
        """The batches of the present step and of those that follow: this process's part."""
        e = self.experiment
        return training_batches(e, self.data.train, self.step, self.ranks.share(e.batch))

    def update(self, images: Tensor, labels: Tensor, ids: Tensor) -> None:
        """One iteration of Algorithm 1, on a batch as :meth:`batches` gives them."""
        e, t = self.experiment, self.step
        use_memory = self.memory is not None and t >= e.start
        if self.memory is not None and t == e.start and e.init == "sample":
            self._initialise(self.memory)
        with record_function("xbm: crop"):
            x = to_float(images.to(self.device, non_blocking=True))
            if e.view == "rendered":
                # Randomness is a function of (seed, step): a resumed run needs no history of it.
                generator, first = crop_generator(e.seed, t), self.ranks.share(e.batch).start
                x = random_resized_crop(x, e.crop, generator, batch=e.batch, first=first)
        labels, ids = labels.to(self.device), ids.to(self.device)
        rate = self.schedule.set(t)
        with record_function("xbm: forward"), self._autocast():
            v = self.model(x.contiguous(memory_format=torch.channels_last))
        v, labels, ids = self.ranks.gather(v, labels, ids)
        row: dict[str, float] = {"step": t, "lr": rate}
        logged = t % e.log_every == 0
        total = v.new_zeros(())
        if e.batch_loss or not use_memory:
            total = total + self._part("batch", row, logged, v, labels)
        elif logged:
            with torch.no_grad():
                self._part("batch", row, logged, v.detach(), labels)
        if use_memory and self.memory is not None:
            with record_function("xbm: enqueue"):
                own = self.memory.enqueue(v, labels, ids)
            part = self._part("memory", row, logged, v, labels, own)
            if e.mined and t == e.steps - 1:
                self._mine(v.detach(), labels, ids, own)
            total = total + e.memory_weight * part
        self.optimiser.zero_grad()
        with record_function("xbm: backward"):
            self.ranks.backward(total, self.model)
        with record_function("xbm: optimiser"):
            self.optimiser.step()
        if logged:
            if not math.isfinite(total.item()):
                raise FloatingPointError(f"the loss is {total.item()} at step {t}: lower lr={e.lr}")
            self.metrics.append(row)
            if self.observe is not None:
                self._tell("step", row | ages(self.memory))
        self.step += 1

    def _part(
        self,
        name: str,
        row: dict[str, float],
        logged: bool,
        v: Tensor,
        labels: Tensor,
        own: Tensor | None = None,
    ) -> Tensor:
        """The loss against the batch or the memory; its value and valid pairs into ``row``."""
        with record_function(f"xbm: {name} loss"):
            if own is None or self.memory is None:
                value: Tensor = self.loss(v, labels)
            else:
                value = self.ranks.memory_loss(self.loss, v, labels, self.memory, own)
        if logged:
            row[f"{name}_loss"] = value.item()
        # A loss from elsewhere may not tell its pairs.
        valid = getattr(self.loss, "valid", None)
        if logged and valid is not None:
            row[f"{name}_negatives"] = int(valid.negatives.sum())
            row[f"{name}_positives"] = int(valid.positives.sum())
        return value

    def _mine(self, v: Tensor, labels: Tensor, ids: Tensor, own: Tensor) -> None:
        """Pairs of the batch's first anchors, of a whole memory, by a loss that weighs them."""
        if isinstance(self.memory, CrossBatchMemory) and isinstance(self.loss, PairLoss):
            count = self.experiment.mined
            self.mined = mined(self.loss, v, labels, ids, self.memory, own, count)

    def _tell(self, kind: str, *rows: dict[str, float]) -> None:
        """Tell the observer, if any, of copies that it cannot change the run by."""
        if self.observe is not None:
            for row in rows:
                self.observe(kind, dict(row))

    def _autocast(self) -> AbstractContextManager[None]:
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.experiment.precision == "bf16"
        )

    @torch.no_grad()
    def embed(self, images: Images, batch: int = 512) -> Tensor:
        """Embeddings (n, D) of images, in evaluation mode."""
        self.model.eval()
        parts = test_batches(self.ranks.part(images), batch)
        out = [self._embed(part) for part, _, _ in parts]
        self.model.train()
        return self.ranks.whole(torch.cat(out), len(images))

    def _embed(self, images: Tensor) -> Tensor:
        x = to_float(images.to(self.device)).contiguous(memory_format=torch.channels_last)
        with self._autocast():
            return self.model(x)

    def evaluate(self) -> dict[str, float]:
        """What :func:`xbmlib.training.evaluation.evaluate` measures, as fractions."""
        return evaluate(self.data, self.embed)

    def _probe(self) -> None:
        if self.experiment.drift and self.drift.due(self.step):
            errors = self._gradient_errors if self.experiment.lemma else None
            rows = self.drift.record(self.step, self.embed(self.probes), errors)
            rows = [row | {"lr": self.schedule.rate(self.step)} for row in rows]
            self.drifts += rows
            self._tell("drift", *rows)

    def _gradient_errors(self, differences: Tensor) -> dict[str, Tensor]:
        """Lemma 1: the next probe stands for the x_i of each v_j."""
        count = self.experiment.lemma
        rows = torch.arange(len(self.probes)).roll(-1)[:count]
        images = to_float(self.probes.fetch(rows).to(self.device))
        self.model.eval()
        # A model of one's own has no part that is known to be one.
        parts = {"head": self.model.head} if isinstance(self.model, backbones.Embedder) else {}
        errors = gradient_errors(self.model, images, differences[:count], parts)
        self.model.train()
        return errors

    def _embed_shared(self, images: Tensor) -> Tensor:
        """:meth:`_embed`, each process a share of the images."""
        return self.ranks.whole(self._embed(images[self.ranks.share(len(images))]), len(images))

    def _initialise(self, memory: Queue) -> None:
        """Section 3.3: features of randomly sampled training images by the warmed-up model."""
        train = self.data.train
        generator = torch.Generator().manual_seed(self.experiment.seed)
        order = torch.randperm(len(train), generator=generator)[: memory.size]
        self.model.eval()
        sampled = test_batches(train.select(order), 512)
        initialise(memory, torch.no_grad()(self._embed_shared), _renamed(sampled, order))
        self.model.train()

    def _save(self) -> None:
        state = {
            "of": run_id(self.experiment, *self.fingerprints),
            "step": self.step,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "loss": self.loss.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "memory": self.ranks.memory_state(self.memory) if self.memory is not None else {},
            "drift": self.drift.state_dict(),
            "rows": [self.metrics, self.drifts, self.history],
            "rng": torch.get_rng_state(),
        }
        if self.ranks.first:
            write_atomically(self.checkpoint, lambda path: torch.save(state, path))

    def _load(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        of = run_id(self.experiment, *self.fingerprints)
        if state.get("of", of) != of:
            raise ConfigError(
                f"{self.checkpoint} is the state of another run: remove it, or name another file"
            )
        self.step, self.seconds = state["step"], state["seconds"]
        self.model.load_state_dict(state["model"])
        # Older checkpoints hold neither: only a loss of one's own and a plateau have a state.
        self.loss.load_state_dict(state.get("loss", {}))
        self.schedule.load_state_dict(state.get("schedule", {}))
        self.optimiser.load_state_dict(state["optimiser"])
        if self.memory is not None:
            self.ranks.load_memory(self.memory, state["memory"])
        self.drift.load_state_dict(state["drift"])
        self.metrics, self.drifts, self.history = state["rows"]
        torch.set_rng_state(state["rng"].cpu())

    def result(self, id: str) -> Run:
        """What the finished run measured."""
        final = {k: v for k, v in self.history[-1].items() if k != "step"}
        return Run(
            id=id,
            experiment=self.experiment,
            recall=final,
            history=self.history,
            metrics=pd.DataFrame(self.metrics),
            drift=pd.DataFrame(self.drifts),
            provenance=provenance(self.device)
            | {
                "seconds": round(self.seconds, 1),
                "seed": self.experiment.seed,
                "fingerprints": self.fingerprints,
            },
            neighbours=retrieved(self.data, self.embed, self.experiment.neighbours),
            mined=self.mined,
        )


def _renamed(batches: Iterator[Batch], ids: Tensor) -> Iterator[Batch]:
    """Batches of a selection, under the ids that its rows have in the whole."""
    return ((images, labels, ids[rows]) for images, labels, rows in batches)


def fingerprints(experiment: Experiment, data: Retrieval) -> list[str]:
    """What a run starts from: its data and its weights."""
    return [data.fingerprint, backbones.fingerprint(experiment.backbone, experiment.weights)]


def build_loss(e: Experiment) -> PairLoss:
    """The loss that the experiment names."""
    if e.loss == "contrastive":
        return ContrastiveLoss(e.lam, e.reduction)
    if e.loss == "triplet":
        return TripletLoss(e.eta, e.reduction)
    return MultiSimilarityLoss(e.alpha, e.beta, e.lam, e.epsilon, e.reduction)


def build_memory(e: Experiment, n: int, device: torch.device, ranks: Ranks) -> Memory | None:
    """The memory of a training set of n images; with a shadow where bf16 products are wanted."""
    size, dtype = e.memory_size(n), getattr(torch, e.memory_dtype)
    if not size:
        return None
    shadow = e.precision == "bf16" and dtype == torch.float32
    return ranks.memory(e.memory_shards)(size, e.dim, dtype=dtype, device=device, shadow=shadow)
