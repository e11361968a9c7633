"""Packages that only an extra of xbmlib installs, imported where they are first needed."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def require(module: str, *, extra: str) -> ModuleType:
    """Import a module that ``pip install xbmlib`` alone does not bring.

    Args:
        module: full name, such as "safetensors.torch".
        extra: the extra of xbmlib that installs it, such as "study".

    Returns:
        The module.

    Raises:
        ModuleNotFoundError: the module, or one that it imports, is not installed; one line that
            names it and the extra.

    Example:
        >>> require("json", extra="study").dumps([1])
        '[1]'
        >>> require("no_such_package", extra="study")
        Traceback (most recent call last):
        ModuleNotFoundError: no_such_package is not installed: pip install 'xbmlib[study]'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed: pip install 'xbmlib[{extra}]'"
        raise ModuleNotFoundError(message, name=error.name) from None
