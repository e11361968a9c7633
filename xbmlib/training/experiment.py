"""One frozen, validated description of a training run."""

from __future__ import annotations

import difflib
import json
import math
from numbers import Integral
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Positive = Annotated[int, Field(ge=1)]
# Far above any use, and low enough for a refusal here rather than an allocation that fails.
Sized = Annotated[int, Field(ge=1, le=1 << 20)]
Cosine = Annotated[float, Field(ge=-1, le=1)]
# Characters of a name or of a value in a message.
SHOWN = 200


class ConfigError(ValueError):
    """An invalid hyper-parameter: names the field, its value and the remedy."""


class Experiment(BaseModel):
    """Every hyper-parameter of one run, with the paper's symbol where there is one.

    Strictly typed: a string is never taken for a number; NumPy's integers are integers. Defaults
    are those of the bundled study.

    Raises:
        ConfigError: an unknown name, a wrong type, a value out of range, or values that exclude
            each other; one line for each.

    Example:
        >>> e = Experiment(batch=64, ratio=0.1, steps=2000)
        >>> e.memory_size(30_016), e.replace(seed=1).seed
        (3002, 1)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    data: str = Field("hanzi", description="data set, see xbmlib.datasets")
    split: Literal["test", "validation", "smoke"] = Field(
        "test", description="test classes, training classes held out, or a part of the latter"
    )
    view: Literal["rendered", "paper", "released", "released_ms"] = Field(
        "rendered", description="resizing and cropping of images on disk, see xbmlib.datasets.views"
    )
    backbone: Literal["compact", "googlenet", "bninception", "resnet50"] = "compact"
    weights: str | None = Field("scripts", description="initial weights; None: from scratch")
    pooling: Literal["avg", "max"] = Field("avg", description="global pooling")
    freeze_bn: bool = Field(False, description="keep the trunk's batch normalisation as loaded")
    dim: Sized = Field(128, description="D, embedding dimension")

    sampler: Literal["pk", "shuffle"] = Field("pk", description="Section 4.1, Fig. 6")
    batch: Annotated[int, Field(ge=2, le=1 << 20)] = Field(16, description="m, mini-batch size")
    k: Sized = Field(4, description="K, images per class in a PK batch")
    crop: Annotated[float, Field(gt=0, le=1)] = Field(
        0.6, description="smallest area of a rendered image's random-resized crop; 1: no cropping"
    )

    loss: Literal["contrastive", "triplet", "multi_similarity"] = "contrastive"
    reduction: Literal["sum", "mean"] = Field("sum", description="see xbmlib.losses.PairLoss")
    lam: Cosine = Field(0.5, description="λ of contrastive and multi-similarity")
    eta: Annotated[float, Field(ge=0)] = Field(0.1, description="η, the triplet margin")
    alpha: Annotated[float, Field(gt=0)] = Field(2.0, description="α of multi-similarity")
    beta: Annotated[float, Field(gt=0)] = Field(40.0, description="β of multi-similarity")
    epsilon: Annotated[float, Field(ge=0)] = Field(0.1, description="mining margin of MS")

    ratio: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="R_M = M/N, memory ratio; 0 for no memory"
    )
    start: Annotated[int, Field(ge=0)] = Field(
        500, description="step at which the memory joins, after the warm-up"
    )
    init: Literal["sample", "fill"] = Field(
        "fill",
        description="memory at start: sampled features (Section 3.3), or filled batch by batch",
    )
    memory_weight: Annotated[float, Field(gt=0)] = Field(
        1.0, description="weight of the memory's loss; the batch's has 1"
    )
    batch_loss: bool = Field(True, description="minimise the batch's loss beside the memory's")
    memory_dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    memory_shards: bool = Field(
        False, description="under torchrun: shard the memory over the ranks, not copy it to each"
    )

    steps: Positive = Field(4000, description="training iterations")
    lr: Annotated[float, Field(gt=0)] = Field(2e-4, description="Adam's learning rate")
    weight_decay: Annotated[float, Field(ge=0)] = Field(5e-4, description="Section 4.1")
    schedule: Literal["cosine", "step", "constant", "plateau"] = Field(
        "cosine",
        description='"step" divides the rate by 10 at 60% and at 85% of the steps, "plateau" when '
        "R@1 stops rising, as in the released code",
    )
    precision: Literal["bf16", "fp32"] = Field("bf16", description="of the model's passes")
    # The CPU's generators use no more than 32 bits.
    seed: Annotated[int, Field(ge=0, lt=1 << 32, description="of everything random")] = 0

    evaluations: Sized = Field(1, description="evenly spaced; the last is after the last step")
    log_every: Positive = Field(10, description="steps between two rows of metrics")
    drift: tuple[Positive, ...] = Field((), description="Δt of Eq. 2 to measure; empty for none")
    probes: Sized = Field(256, description="training images that the drift is averaged over")
    lemma: Annotated[int, Field(ge=0)] = Field(
        0, description="pairs of probes whose gradient error (Lemma 1) is measured with the drift"
    )
    neighbours: Annotated[int, Field(ge=0)] = Field(
        0, description="queries whose nearest images are kept with the run; 0 for none"
    )

    mined: Annotated[int, Field(ge=0)] = Field(
        0,
        description="anchors of the last batch whose hardest pairs are kept with the run; 0 for "
        "none",
    )

    def __init__(self, /, **values: Any) -> None:  # "self" is an unknown name as any other
        try:
            super().__init__(**{name: _plain(value) for name, value in values.items()})
        except ValidationError as error:
            raise ConfigError("\n".join(_explain(e) for e in error.errors())) from None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build from plain values as read from JSON (lists for tuples)."""
        if isinstance(values.get("drift"), list):
            values = values | {"drift": tuple(values["drift"])}
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Build from the text of a JSON object.

        Raises:
            ConfigError: no JSON object, a name given twice, or invalid values.
        """
        try:
            values = json.loads(text, object_pairs_hook=without_repetition)
        except RecursionError:
            raise ConfigError("JSON nested too deeply; give one flat object") from None
        except ConfigError:
            raise
        except ValueError as error:  # JSONDecodeError, or an integer of thousands of digits
            raise ConfigError(f"{error}; give a JSON file of an experiment") from None
        if not isinstance(values, dict):
            raise ConfigError('give an object, such as {"data": "hanzi", "ratio": 0.1}')
        return cls.from_dict(values)

    def replace(self, **changes: Any) -> Self:
        """The same experiment with some fields changed, validated again."""
        return type(self)(**(self.model_dump() | changes))

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.sampler == "pk" and self.k > self.batch:
            raise ValueError(
                f"k={self.k} with batch={self.batch}: K images of a class exceed the "
                f"batch; give k of at most {self.batch}"
            )
        if self.sampler == "pk" and self.batch % self.k:
            raise ValueError(
                f"batch={self.batch} with k={self.k}: a PK batch holds P × K images; "
                f"give a batch that {self.k} divides, say {self.batch // self.k * self.k}"
            )
        if self.ratio and self.start >= self.steps:
            raise ValueError(
                f"start={self.start} with steps={self.steps}: the memory would start "
                f"after the last step; give a start below {self.steps}"
            )
        if self.schedule == "plateau" and self.evaluations < 6:
            raise ValueError(
                f'schedule="plateau" with evaluations={self.evaluations}: the rate falls after '
                "5 evaluations without a rise; give evaluations of at least 6"
            )
        if self.lemma and not self.drift:
            raise ValueError(
                f"lemma={self.lemma} with drift=(): Lemma 1 is measured with the drift; give drift "
                "the Δt to measure, or lemma=0"
            )
        if self.lemma > self.probes:
            raise ValueError(
                f"lemma={self.lemma} with probes={self.probes}: every pair takes its own probe; "
                f"give at most {self.probes}"
            )
        if any(delta > self.steps for delta in self.drift):
            raise ValueError(
                f"drift={self.drift} with steps={self.steps}: no two steps are "
                f"Δt apart; give values of at most {self.steps}"
            )
        return self

    def memory_size(self, n: int) -> int:
        """M for a training set of n images: ratio × N, rounded.

        Raises:
            ConfigError: a memory smaller than the batch.
        """
        size = round(self.ratio * n)
        if self.ratio > 0 and size < self.batch:
            # Rounded up: rounded to nearest, the advice could itself be refused.
            least = math.ceil(self.batch / n * 1e6) / 1e6
            raise ConfigError(
                f"ratio={self.ratio} of {n} training images is M = {size}, less than "
                f"batch={self.batch}: give a ratio of at least {least:.6g}, or 0"
            )
        return size


def _plain(value: Any) -> Any:
    """NumPy's integers, alone or in a tuple, as Python's; anything else as it is."""
    if isinstance(value, tuple):
        return tuple(_plain(part) for part in value)
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else value


def without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of a name given twice, Python's reader would silently keep the last value."""
    names = [name for name, _ in pairs]
    if len(values := dict(pairs)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"{twice!r} is given {names.count(twice)} times; give it once")
    return values


def _explain(error: Any) -> str:
    """One line for one of pydantic's errors: field, value, remedy."""
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(name, Experiment.model_fields, n=1)
        hint = (
            f"did you mean {close[0]}?" if close else f"known: {', '.join(Experiment.model_fields)}"
        )
        return f"{name[:SHOWN]}={shown(error['input'])}: no such hyper-parameter; {hint}"
    message = error["msg"].removeprefix("Value error, ")
    if not name:
        return message
    return f"{name}={shown(error['input'])}: {message[0].lower()}{message[1:]}"


def shown(value: Any) -> str:
    """A value as its ``repr``, cut to ``SHOWN`` characters.

    Example:
        >>> shown([0.5, "a"])
        "[0.5, 'a']"
    """
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits, or what holds one
        if isinstance(value, int):
            return f"an integer of {value.bit_length():,} bits"
        return f"a {type(value).__name__} with an integer of thousands of digits"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text):,} characters)"
