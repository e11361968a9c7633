"""Callbacks: what watches a run, one kind per file; your own derive from :class:`Callback`."""

from __future__ import annotations

from xbmlib.datasets import Retrieval
from xbmlib.training.callbacks.base import Callback, LossPart, Row, Step, Training
from xbmlib.training.callbacks.diagnosis import Diagnose
from xbmlib.training.callbacks.drift import DriftProbes
from xbmlib.training.callbacks.evaluation import Evaluation
from xbmlib.training.callbacks.metrics import Metrics
from xbmlib.training.callbacks.mined_pairs import MinedPairs
from xbmlib.training.callbacks.neighbours import Neighbours
from xbmlib.training.callbacks.progress import ReportProgress
from xbmlib.training.callbacks.tensorboard import TensorBoard
from xbmlib.training.experiment import Experiment

__all__ = [
    "Callback",
    "Diagnose",
    "DriftProbes",
    "Evaluation",
    "LossPart",
    "Metrics",
    "MinedPairs",
    "Neighbours",
    "ReportProgress",
    "Row",
    "Step",
    "TensorBoard",
    "Training",
    "measurements",
]


def measurements(e: Experiment, data: Retrieval) -> list[Callback]:
    """The callbacks that measure what an experiment asks for, in the order they are called."""
    callbacks: list[Callback] = [Metrics()]
    if e.drift:
        callbacks.append(DriftProbes(e, data.train))
    callbacks.append(Evaluation(e))
    if e.mined:
        callbacks.append(MinedPairs())
    if e.neighbours:
        callbacks.append(Neighbours())
    return callbacks
