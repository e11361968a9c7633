"""Hyper-parameters as their sources state them: the paper's, and the released code's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from xbmlib.paper.arms import network_name
from xbmlib.paper.protocols import PROTOCOLS

Fields = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """Fields of :class:`xbmlib.training.experiment.Experiment` at the paper's own scale.

    Attributes:
        source: where they are stated.
        stated: fields that the source states.
        unstated: fields on which it is silent, with what stands in for them.
    """

    source: str
    stated: Fields
    unstated: Fields

    @property
    def fields(self) -> Fields:
        """All fields, stated or not."""
        return self.stated | self.unstated


# The authors' configs/sample_config.yaml and ret_benchmark/config/defaults.py, for SOP. Their
# plateau schedule decays the learning rate when R@1 on the test classes stops rising.
_RELEASED: Fields = {
    "backbone": "resnet50",
    "dim": 128,
    "pooling": "max",
    "view": "released",
    "batch": 64,
    "k": 4,
    "lam": 0.5,
    "reduction": "sum",
    "ratio": 55_000 / PROTOCOLS["SOP"].train.images,
    "start": 1000,
    "init": "fill",
    "batch_loss": True,
    "memory_weight": 1.0,
    "steps": 35_000,
    "lr": 1e-4,
    "weight_decay": 5e-4,
    "schedule": "plateau",
    "evaluations": 35,
    "precision": "fp32",
}
_PAPER: Fields = {
    "backbone": "googlenet",
    "dim": 512,
    "view": "paper",
    "batch": 64,
    "ratio": 1.0,
    "start": 1000,
    "init": "sample",
    "batch_loss": False,
    "weight_decay": 5e-4,
}


SETTINGS = {
    "paper": Setting(
        "the paper: Sections 3.3 and 4.1, Algorithm 1; R_M = 1 as in Table 2 and Fig. 4",
        _PAPER,
        {"pooling": "avg"} | {n: v for n, v in _RELEASED.items() if n not in {*_PAPER, "pooling"}},
    ),
    "released": Setting(
        "the authors' released code, ResNet50-128 on SOP: 80.6 in Table 3; PaddleClas reports 81.0 "
        "with the same (docs/zh_CN/training/metric_learning/xbm.md)",
        _RELEASED,
        {},
    ),
}

# The losses, from the released code where the paper states no figure; fields of Experiment.
LOSS_FIELDS: dict[str, Fields] = {
    "contrastive": {"loss": "contrastive", "lam": 0.5},
    "triplet": {"loss": "triplet", "eta": 0.1},
    "multi_similarity": {
        "loss": "multi_similarity", "alpha": 2.0, "beta": 40.0, "lam": 0.5, "epsilon": 0.1,
    },
}  # fmt: skip


def _crop(view: str) -> str:
    """How a training image is cropped, in words (:mod:`xbmlib.datasets.views`)."""
    return {"paper": "random crop", "released": "random-resized crop"}[view]


def _memory(ratio: float) -> str:
    """R_M with the M that it is on SOP: "0.924 (M = 55,000)"."""
    return f"{ratio:.3g} (M = {ratio * PROTOCOLS['SOP'].train.images:,.0f})"


# The fields in words or in the paper's symbols, in the order of a table, and their values.
_SHOWN: dict[str, tuple[str, Callable[[Any], str]]] = {
    "backbone": ("network", network_name),
    "pooling": ("global pooling", {"avg": "average", "max": "maximum"}.__getitem__),
    "dim": ("D", str),
    "view": ("training images", _crop),
    "batch": ("mini-batch", str),
    "k": ("K", str),
    "lam": ("λ", "{:g}".format),
    "reduction": ("loss of an anchor", "{} over its pairs".format),
    "ratio": ("R_M, with M on SOP", _memory),
    "start": ("updates before the memory joins", "{:,}".format),
    "init": (
        "memory at its start",
        {"sample": "sampled features", "fill": "filled batch by batch"}.__getitem__,
    ),
    "batch_loss": ("batch's loss, with memory", {True: "kept", False: "left out"}.__getitem__),
    "memory_weight": ("weight of the memory's loss", "{:g}".format),
    "steps": ("updates", "{:,}".format),
    "lr": ("learning rate", "{:g}".format),
    "weight_decay": ("weight decay", "{:g}".format),
    "schedule": (
        "schedule of the learning rate",
        {"plateau": "lower where R@1 on the test classes stops rising"}.__getitem__,
    ),
    "evaluations": ("evaluations", str),
    "precision": ("precision", {"fp32": "float32", "bf16": "bfloat16"}.__getitem__),
}


def differences() -> pd.DataFrame:
    """Where the settings differ, in words and in the paper's symbols.

    Returns:
        One row per setting: setting, and its value by each source (paper, released code). Where a
        source is silent, what stands in for it is in brackets.
    """
    rows = []
    for name, (words, show) in _SHOWN.items():
        values = {key: setting.fields[name] for key, setting in SETTINGS.items()}
        if len(set(values.values())) > 1 or any(name in s.unstated for s in SETTINGS.values()):
            shown = {
                key: f"[{show(value)}]" if name in SETTINGS[key].unstated else show(value)
                for key, value in values.items()
            }
            rows.append({"setting": words} | shown)
    return pd.DataFrame(rows).rename(columns={"released": "released code"})
