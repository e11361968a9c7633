"""The counterpart of ImageNet weights: the compact backbone trained on other scripts."""

from __future__ import annotations

import hashlib
from typing import ClassVar, Literal

import pandas as pd
import torch
from pydantic import ValidationInfo, field_validator

from xbmlib import backbones, datasets
from xbmlib.backbones.weights import SHIPPED
from xbmlib.storage import ROOT, require_writable, write_json
from xbmlib.study.notebook import Checked
from xbmlib.study.progress import Progress
from xbmlib.training.callbacks import ReportProgress
from xbmlib.training.experiment import Experiment
from xbmlib.training.trainer import Trainer

# Short on purpose: README.md ("The start") says how the number of steps was chosen.
STEPS = {"smoke": 4, "full": 150}


class Parameters(Checked):
    """Attributes: profile: size of the run; write: whether to replace the bundled weights."""

    notebook: ClassVar[str] = "pretrain"

    profile: Literal["smoke", "full"] = "full"
    write: bool = False

    @field_validator("write")
    @classmethod
    def _of_the_whole_run(cls, write: bool, info: ValidationInfo) -> bool:
        if write and info.data.get("profile") != "full":
            raise ValueError('only the weights of profile="full" replace the bundled ones')
        return write


def pretraining(profile: str) -> Experiment:
    """Multi-similarity loss from scratch, batch 64, no memory."""
    return Experiment(
        data="scripts",
        weights=None,
        loss="multi_similarity",
        batch=64,
        steps=STEPS[profile],
        lr=1e-3,
    )


def pretrain(parameters: Parameters) -> pd.DataFrame:
    """Train, resuming from the checkpoint of an earlier call that was killed.

    Returns:
        One row: R@K on held-out letters (percent), and seconds.
    """
    # One thread, as in every run of the study, for the same bits on the same machine.
    torch.set_num_threads(1)
    experiment = pretraining(parameters.profile)
    folder = ROOT / "results" / "pretraining" / parameters.profile
    require_writable(folder)
    with Progress(experiment.steps, "pretraining") as bar:
        trainer = Trainer(
            experiment,
            datasets.load("scripts"),
            folder / "checkpoint.pt",
            callbacks=[ReportProgress(bar.update)],
        )
        trainer.train()
    weights = folder / "compact.safetensors"
    backbones.save_trunk(trainer.model.get_submodule("trunk"), weights)
    result = trainer.result("pretraining")
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    if parameters.write:
        weights.replace(SHIPPED["compact", "scripts"])
    write_json(
        folder / "pretraining.json",
        {
            "recall": result.recall,
            "provenance": result.provenance,
            "sha256": sha256,
            "experiment": experiment.model_dump(),
        },
    )
    trainer.checkpoint.unlink(missing_ok=True)
    recall = {k: 100 * v for k, v in result.recall.items()}
    return pd.DataFrame([recall | {"seconds": result.provenance["seconds"]}])
