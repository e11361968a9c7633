"""Packages that only an extra of xbmlib installs, imported where they are first needed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType


class MissingExtra(ModuleNotFoundError):
    """A package that is not installed: one line names it and the extra that installs it."""


def require(module: str, *, extra: str) -> ModuleType:
    """Import a module that ``pip install xbmlib`` alone does not bring.

    Args:
        module: full name, such as "safetensors.torch".
        extra: the extra of xbmlib that installs it, such as "study".

    Returns:
        The module.

    Raises:
        MissingExtra: the module, or one that it imports, is not installed.

    Example:
        >>> require("json", extra="study").dumps([1])
        '[1]'
        >>> require("no_such_package", extra="study")
        Traceback (most recent call last):
        xbmlib.extras.MissingExtra: no_such_package is not installed: pip install 'xbmlib[study]'
    """
    with needs(extra):
        return import_module(module)


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Within it, modules are imported that only an extra of xbmlib installs.

    Raises:
        MissingExtra: one of them is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        # A missing module of xbmlib itself is a defect, which no extra would fix.
        if error.name is None or error.name.split(".")[0] == "xbmlib":
            raise
        message = f"{error.name} is not installed: pip install 'xbmlib[{extra}]'"
        raise MissingExtra(message, name=error.name) from None


@contextmanager
def command_needs(extra: str) -> Iterator[None]:
    """The same for the imports of a command, which ends with that line instead of a traceback.

    Raises:
        SystemExit: one of them is not installed.
    """
    try:
        with needs(extra):
            yield
    except MissingExtra as error:
        sys.exit(str(error))
