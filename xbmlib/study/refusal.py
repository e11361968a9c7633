"""How a command of the study ends: in order, and in one line if what it is given cannot be used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from xbmlib.backbones import WeightsError
from xbmlib.datasets import DatasetError
from xbmlib.extras import MissingExtra
from xbmlib.storage import StorageError
from xbmlib.study.ending import ending_in_order
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
def as_command() -> Iterator[None]:
    """End the process with the message of a refusal, and leave every other error as it is.

    A signal that ends it lets it clean up: :mod:`xbmlib.study.ending`.
    """
    try:
        with ending_in_order():
            yield
    except REFUSALS as error:
        sys.exit(str(error))
