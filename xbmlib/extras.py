"""Packages that only an extra of xbmlib installs, imported where they are first needed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
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


def require_installed(*packages: str, extra: str) -> None:
    """Check for packages that the modules of a folder import, without importing any.

    Called in the folder's ``__init__``, so that each of its modules names the extra.

    Args:
        packages: names of top-level modules.
        extra: as of :func:`require`.

    Raises:
        MissingExtra, SystemExit: as :func:`needs`.
    """
    with needs(extra):
        for name in packages:
            if sys.modules.get(name) is None and find_spec(name) is None:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Within it, modules are imported that only an extra of xbmlib installs.

    Raises:
        MissingExtra: one of them is not installed.
        SystemExit: the same while Python looks for the module of ``python -m xbmlib.…``, which ends
            with that line instead of a traceback.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        # A missing module of xbmlib itself is a defect, which no extra would fix.
        if error.name is None or error.name.split(".")[0] == "xbmlib":
            raise
        message = f"{error.name} is not installed: pip install 'xbmlib[{extra}]'"
        if _looking_for_own_command():
            sys.exit(message)
        raise MissingExtra(message, name=error.name) from None


def _looking_for_own_command() -> bool:
    """Whether Python is importing the folders that the module of ``python -m xbmlib.…`` is in."""
    # Until it has found the module, this stands in place of its path.
    if sys.argv[:1] != ["-m"] or "-m" not in sys.orig_argv:
        return False
    named = sys.orig_argv[sys.orig_argv.index("-m") + 1 :]
    return bool(named) and named[0].split(".")[0] == "xbmlib"


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
