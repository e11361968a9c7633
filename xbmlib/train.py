"""One training run: loader -> embedder -> queue -> loss -> optimiser, with probes (Algorithm 1)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.profiler import record_function
from torch.utils.data import DataLoader, Dataset

from xbmlib import backbones, datasets
from xbmlib.config import ConfigError, Experiment
from xbmlib.datasets.images import ImageSet
from xbmlib.datasets.transforms import random_resized_crop, to_float
from xbmlib.drift import DriftProbe, gradient_errors
from xbmlib.evaluation import evaluate
from xbmlib.losses import ContrastiveLoss, MultiSimilarityLoss, PairLoss, TripletLoss
from xbmlib.provenance import provenance
from xbmlib.queue import CrossBatchMemory, initialise
from xbmlib.retrieved import retrieved
from xbmlib.runs import Run, RunStore, run_id, write_atomically
from xbmlib.sampler import PKSampler, ShuffleSampler

CHECKPOINT_STEPS = 500
DRIFT_TIMES = 48

Progress = Callable[[int], None]


def run(
    experiment: Experiment,
    store: RunStore | None = None,
    *,
    progress: Progress = lambda steps: None,
    checkpoint_steps: int = CHECKPOINT_STEPS,
) -> Run:
    """Load the run from the store, or train it: from its checkpoint, where one is left.

    On one machine the numbers are the same to the last bit on a CPU with the same number of
    threads, however often the run was killed on its way.

    Args:
        experiment: what to run.
        store: where runs are kept; ``results/runs`` by default.
        progress: told the number of steps that have been completed since it was last told.
        checkpoint_steps: steps between two checkpoints.

    Raises:
        ConfigError, DatasetError: bad input, before any training.
        FloatingPointError: a loss that is not finite.
    """
    store = store or RunStore()
    id = identify(experiment)
    if not store.done(id):
        with store.locked(id) as folder:
            if not store.done(id):
                data = datasets.load(experiment.data, experiment.split)
                trainer = Trainer(experiment, data, folder / "checkpoint.pt")
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
    data = datasets.load(experiment.data, experiment.split)
    experiment.memory_size(len(data.train))
    if experiment.sampler == "pk" and experiment.batch // experiment.k > len(data.train.classes):
        raise ConfigError(
            f"batch={experiment.batch} with k={experiment.k} takes more classes than the "
            f"{len(data.train.classes)} of {experiment.data}: give a smaller batch or a larger k"
        )
    return run_id(experiment, *fingerprints(experiment, data))


def fingerprints(experiment: Experiment, data: datasets.Retrieval) -> list[str]:
    """What a run starts from: its data and its weights."""
    return [data.fingerprint, backbones.fingerprint(experiment.backbone, experiment.weights)]


class Trainer:
    """The state of one run, and its loop.

    Args:
        experiment: what to run.
        data: the data set that it names.
        checkpoint: file that the state is kept in while the run lasts.
    """

    def __init__(self, experiment: Experiment, data: datasets.Retrieval, checkpoint: Path) -> None:
        e = self.experiment = experiment
        self.data, self.checkpoint = data, checkpoint
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(e.seed)
        channels = data.train.images.shape[1]
        self.model = backbones.build(
            e.backbone, e.dim, e.weights, pooling=e.pooling, channels=channels
        )
        self.model.to(self.device).to(memory_format=torch.channels_last)
        self.optimiser = torch.optim.Adam(
            self.model.parameters(), e.lr, weight_decay=e.weight_decay, fused=True
        )
        self.loss = build_loss(e)
        self.memory = build_memory(e, len(data.train), self.device)
        every = max(1, e.steps // DRIFT_TIMES)
        self.drift = DriftProbe(e.drift, range(0, e.steps + 1, every))
        chosen = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(e.seed))
        self.probes = data.train.images[chosen[: e.probes]]
        self.step, self.seconds = 0, 0.0
        self.metrics: list[dict[str, float]] = []
        self.drifts: list[dict[str, float]] = []
        self.history: list[dict[str, float]] = []
        if checkpoint.is_file():
            self._load()

    def train(self, progress: Progress, checkpoint_steps: int = CHECKPOINT_STEPS) -> None:
        """Go on from the present step to the last."""
        e, began, before = self.experiment, time.monotonic(), self.seconds
        progress(self.step)
        evaluate_at = {round(i * e.steps / e.evaluations) for i in range(1, e.evaluations + 1)}
        if self.step == 0:
            self._probe()
        self.model.train()
        for images, labels, ids in self._loader():
            self._step(images, labels, ids)
            self.step += 1
            self._probe()
            if self.step in evaluate_at:
                self.history.append({"step": self.step, **self.evaluate()})
            self.seconds = before + time.monotonic() - began
            if self.step % checkpoint_steps == 0 and self.step < e.steps:
                self._save()
            progress(1)

    def _step(self, images: Tensor, labels: Tensor, ids: Tensor) -> None:
        """One iteration of Algorithm 1."""
        e, t = self.experiment, self.step
        use_memory = self.memory is not None and t >= e.start
        if self.memory is not None and t == e.start and e.init == "sample":
            self._initialise(self.memory)
        # Randomness is a function of (seed, step): a resumed run needs no history of it.
        generator = crop_generator(e.seed, t)
        with record_function("xbm: crop"):
            x = random_resized_crop(to_float(images.to(self.device)), e.crop, generator)
        labels = labels.to(self.device)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(e, t)
        with record_function("xbm: forward"), self._autocast():
            v = self.model(x.contiguous(memory_format=torch.channels_last))
        row: dict[str, float] = {"step": t, "lr": learning_rate(e, t)}
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
            total = total + e.memory_weight * part
        self.optimiser.zero_grad()
        with record_function("xbm: backward"):
            total.backward()
        with record_function("xbm: optimiser"):
            self.optimiser.step()
        if logged:
            if not math.isfinite(total.item()):
                raise FloatingPointError(f"the loss is {total.item()} at step {t}: lower lr={e.lr}")
            self.metrics.append(row)

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
        against: dict[str, Any] = {}
        if own is not None and self.memory is not None:
            memory = self.memory
            against = {"memory": memory.embeddings, "memory_labels": memory.labels, "own": own,
                       "shadow": memory.shadow}  # fmt: skip
        with record_function(f"xbm: {name} loss"):
            value: Tensor = self.loss(v, labels, **against)
        if logged and self.loss.valid is not None:
            row[f"{name}_loss"] = value.item()
            row[f"{name}_negatives"] = int(self.loss.valid.negatives.sum())
            row[f"{name}_positives"] = int(self.loss.valid.positives.sum())
        return value

    def _loader(self) -> DataLoader[Any]:
        e, train = self.experiment, self.data.train
        sampler: PKSampler | ShuffleSampler
        if e.sampler == "pk":
            sampler = PKSampler(train.labels, e.batch // e.k, e.k, steps=e.steps, seed=e.seed)
        else:
            sampler = ShuffleSampler(len(train), e.batch, steps=e.steps, seed=e.seed)
        sampler.start = self.step
        return DataLoader(
            _Batches(train),
            batch_sampler=sampler,
            collate_fn=lambda batch: batch,
            pin_memory=self.device.type == "cuda",
        )

    def _autocast(self) -> AbstractContextManager[None]:
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.experiment.precision == "bf16"
        )

    @torch.no_grad()
    def embed(self, images: Tensor, batch: int = 512) -> Tensor:
        """Embeddings (n, D) of uint8 images (n, C, H, W), in evaluation mode."""
        self.model.eval()
        out = []
        for part in images.split(batch):
            x = to_float(part.to(self.device)).contiguous(memory_format=torch.channels_last)
            with self._autocast():
                out.append(self.model(x))
        self.model.train()
        return torch.cat(out)

    def evaluate(self) -> dict[str, float]:
        """What :func:`xbmlib.evaluation.evaluate` measures, as fractions."""
        return evaluate(self.data, self.embed)

    def _probe(self) -> None:
        if self.experiment.drift and self.drift.due(self.step):
            errors = self._gradient_errors if self.experiment.lemma else None
            rows = self.drift.record(self.step, self.embed(self.probes), errors)
            self.drifts += [
                row | {"lr": learning_rate(self.experiment, row["step"])} for row in rows
            ]

    def _gradient_errors(self, differences: Tensor) -> Tensor:
        """Lemma 1: the next probe stands for the x_i of each v_j."""
        count = self.experiment.lemma
        images = to_float(self.probes.roll(-1, 0)[:count].to(self.device))
        self.model.eval()
        errors = gradient_errors(self.model, images, differences[:count])
        self.model.train()
        return errors

    def _initialise(self, memory: CrossBatchMemory) -> None:
        """Section 3.3: features of randomly sampled training images by the warmed-up model."""
        train = self.data.train
        generator = torch.Generator().manual_seed(self.experiment.seed)
        order = torch.randperm(len(train), generator=generator)[: memory.size]
        initialise(
            memory,
            self.embed,
            ((train.images[i], train.labels[i], i) for i in order.split(512)),
        )

    def _save(self) -> None:
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "memory": self.memory.state_dict() if self.memory is not None else {},
            "drift": self.drift.state_dict(),
            "rows": [self.metrics, self.drifts, self.history],
            "rng": torch.get_rng_state(),
        }
        write_atomically(self.checkpoint, lambda path: torch.save(state, path))

    def _load(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        self.step, self.seconds = state["step"], state["seconds"]
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.memory is not None:
            self.memory.load_state_dict(state["memory"])
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
                "fingerprints": fingerprints(self.experiment, self.data),
            },
            neighbours=retrieved(self.data, self.embed, self.experiment.neighbours),
        )


class _Batches(Dataset[Any]):
    """Images in memory, fetched a batch at a time as (images, labels, ids)."""

    def __init__(self, images: ImageSet) -> None:
        self.set = images

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor, Tensor]:
        ids = torch.tensor(indices)
        return self.set.images[ids], self.set.labels[ids], ids


def crop_generator(seed: int, step: int) -> torch.Generator:
    """Randomness of one step's crops.

    The CPU's generator takes 32 bits of a seed, so both numbers have to be mixed into these; the
    odd multiplier keeps the steps of two seeds apart.
    """
    return torch.Generator().manual_seed((seed * 0x9E3779B1 + step) % 2**32)


def build_loss(e: Experiment) -> PairLoss:
    """The loss that the experiment names."""
    if e.loss == "contrastive":
        return ContrastiveLoss(e.lam, e.reduction)
    if e.loss == "triplet":
        return TripletLoss(e.eta, e.reduction)
    return MultiSimilarityLoss(e.alpha, e.beta, e.lam, e.epsilon, e.reduction)


def build_memory(e: Experiment, n: int, device: torch.device) -> CrossBatchMemory | None:
    """The memory of a training set of n images; with a shadow where bf16 products are wanted."""
    size, dtype = e.memory_size(n), getattr(torch, e.memory_dtype)
    if not size:
        return None
    shadow = e.precision == "bf16" and dtype == torch.float32
    return CrossBatchMemory(size, e.dim, dtype=dtype, device=device, shadow=shadow)


def learning_rate(e: Experiment, step: float) -> float:
    """Learning rate at a step, in (0, lr]."""
    if e.schedule == "cosine":
        return e.lr * (1 + math.cos(math.pi * min(step, e.steps) / (e.steps + 1))) / 2
    if e.schedule == "step":
        return e.lr * 0.1 ** ((step >= 0.6 * e.steps) + (step >= 0.85 * e.steps))
    return e.lr


__all__ = [
    "Trainer",
    "build_loss",
    "build_memory",
    "crop_generator",
    "fingerprints",
    "identify",
    "learning_rate",
    "run",
]
