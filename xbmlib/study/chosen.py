"""The settings that a search has chosen, read from the file that it wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from xbmlib.storage import StorageError
from xbmlib.training.experiment import shown, without_repetition


class Chosen(BaseModel):
    """One entry of such a file; a subclass declares what it is of, and its ``settings``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    settings: Any


Entry = TypeVar("Entry", bound=Chosen)


def read_chosen(path: Path, kind: type[Entry], remedy: str) -> list[Entry]:
    """The entries of a file, each of which stands for something else.

    Args:
        path: a JSON file.
        kind: of its entries.
        remedy: how the file is written anew, a part of the message.

    Raises:
        StorageError: no such file, or one that no search has written.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=without_repetition)
        of_kind: Any = list[kind]  # type: ignore[valid-type]
        entries: list[Entry] = TypeAdapter(of_kind).validate_python(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        reason = f"{where}={shown(first['input'])}: " * bool(where) + first["msg"]
    except (OSError, ValueError, RecursionError) as error:
        reason = str(error)
    else:
        of = [entry.model_dump(exclude={"settings"}) for entry in entries]
        twice = [one for one in of if of.count(one) > 1]
        if not twice:
            return entries
        reason = f"{twice[0]} is there {of.count(twice[0])} times"
    raise StorageError(f"{path}: cannot be read as what a search has chosen ({reason}); {remedy}")
