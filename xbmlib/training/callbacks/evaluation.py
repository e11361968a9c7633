"""Recall of the model under its data set's protocols, during and after training."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from xbmlib.datasets import Images, Retrieval
from xbmlib.recall import map_at_r, one_per_class, recall_at_k
from xbmlib.training.callbacks.base import Callback, Step, Training
from xbmlib.training.experiment import Experiment


class Evaluation(Callback):
    """Logs the table "evaluation" and calls every callback's ``on_evaluation``.

    Args:
        e: names the number of evaluations, evenly spaced; the last is after the last step.
    """

    def __init__(self, e: Experiment) -> None:
        self.steps = {round(i * e.steps / e.evaluations) for i in range(1, e.evaluations + 1)}

    def on_step(self, trainer: Training, step: Step) -> None:
        """Evaluate if that is due; a schedule that follows R@1 takes note of it."""
        if trainer.step not in self.steps:
            return
        row = {"step": trainer.step, **trainer.evaluate()}
        trainer.schedule.observe(row["R@1"])
        trainer.measured("evaluation", row)
        for callback in trainer.callbacks:
            callback.on_evaluation(trainer, dict(row))


def evaluate(data: Retrieval, embed: Callable[[Images], Tensor]) -> dict[str, float]:
    """R@K for the data set's K, and MAP@R, as fractions in [0, 1].

    Each test list is measured under two protocols: leave-one-out ("small R@1"), and one random
    gallery image per class ("small, one per class R@1"), the mean of 10 samples.

    Args:
        data: queries, and the gallery that is searched; without one, leave-one-out among all
            queries. Either gives the plain names ("R@1").
        embed: images to embeddings (n, D).

    Raises:
        FloatingPointError: embeddings that are not finite.
    """
    query = data.query
    args: dict[str, Tensor] = {}
    embeddings = embed(query)
    if not bool(embeddings.isfinite().all()):
        raise FloatingPointError("embeddings that are not finite: lower the learning rate")
    # Recall is measured where the embeddings are.
    device = embeddings.device
    all_labels = query.labels.to(device)
    if data.gallery is not None:
        args = {"gallery": embed(data.gallery), "gallery_labels": data.gallery.labels.to(device)}
    recall = recall_at_k(embeddings, all_labels, data.ks, **args)
    out = _named("", recall)
    out["MAP@R"] = map_at_r(embeddings, all_labels, **args)
    for name, rows in data.lists.items():
        listed, labels = embeddings[rows.to(device)], all_labels[rows.to(device)]
        # The largest list is all queries.
        same = len(rows) == len(query)
        out |= _named(f"{name} ", recall if same else recall_at_k(listed, labels, data.ks))
        out |= _named(f"{name}, one per class ", one_per_class(listed, labels, data.ks))
    return out


def _named(prefix: str, recall: dict[int, float]) -> dict[str, float]:
    return {f"{prefix}R@{k}": value for k, value in recall.items()}
