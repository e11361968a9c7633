"""Tables of results/ that no notebook's runs give: what benchmarks and searches have measured."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from xbmlib.storage import CHECKOUT, ROOT, StorageError


def measured(name: str, roots: tuple[Path, ...] = ()) -> pd.DataFrame:
    """A table of results/, by default else the one of the checkout.

    Args:
        name: of the CSV file.
        roots: folders with a results/, of which the first that has the file counts; by default
            that of the results, then the checkout.

    Raises:
        FileNotFoundError: none has it.
        StorageError: the file is no table.
    """
    roots = roots or (ROOT, CHECKOUT)
    for folder in roots:
        if (path := folder / "results" / f"{name}.csv").is_file():
            try:
                return pd.read_csv(path)
            except (OSError, ValueError) as error:
                reason = str(error).partition("\n")[0]
                raise StorageError(
                    f"{path}: cannot be read as a table ({reason}); restore the committed file, "
                    "or delete it and measure anew (make bench, make search)"
                ) from None
    raise FileNotFoundError(f"{name}.csv is not in {roots[0] / 'results'}: run `make bench` first")
