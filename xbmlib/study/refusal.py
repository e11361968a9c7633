"""Commands of the study that end in one line where what they are given cannot be used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from xbmlib.backbones import WeightsError
from xbmlib.datasets import DatasetError
from xbmlib.extras import MissingExtra
from xbmlib.storage import StorageError
from xbmlib.study.notebook import ParameterError
from xbmlib.study.preflight import PreflightError
from xbmlib.training.experiment import ConfigError

# Each names what is at fault, and the remedy.
REFUSALS = (
    ConfigError,
    DatasetError,
    MissingExtra,
    ParameterError,
    PreflightError,
    StorageError,
    WeightsError,
)


@contextmanager
def refused_in_one_line() -> Iterator[None]:
    """End the process with the message of a refusal, and leave every other error as it is."""
    try:
        yield
    except REFUSALS as error:
        sys.exit(str(error))
