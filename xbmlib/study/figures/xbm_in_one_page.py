"""Parameters and images of the notebook that writes the method out in plain code."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field

from xbmlib.study.figures.small import Part, classes
from xbmlib.study.notebook import Checked


class Parameters(Checked):
    """Attributes: steps: updates of each run; seed: of classes, weights and batches.

    ``profile`` only names the folder of the figure: a run takes seconds and is not stored.
    """

    notebook: ClassVar[str] = "xbm_in_one_page"
    profile: ClassVar[Literal["benchmarks"]] = "benchmarks"

    steps: Annotated[int, Field(ge=1, le=10_000)] = 200
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0


def images(parameters: Parameters) -> tuple[Part, Part]:
    """Classes of ``hanzi`` to train on and, others, to evaluate, in float64.

    On one thread, and in float64, two ways to compute the same differ by far less than 1e-6.
    """
    torch.set_num_threads(1)
    train, test = (p._replace(images=p.images.double()) for p in classes("hanzi", parameters.seed))
    return train, test
