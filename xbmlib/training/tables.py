"""The tables that are kept with a run."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from xbmlib.storage import StorageError

# Logged row by row by the run itself: losses, drift and recall.
MEASURED = ("step", "drift", "evaluation")
# Kept as whole frames.
WHOLE = ("mined", "neighbours")
# Of one table: a thousand times those of the longest run, and some 100 MB.
CELLS = 1 << 24


def read_table(path: Path, content: bytes) -> pd.DataFrame:
    """The frame in a Parquet file, once its footer is seen to state a bounded size.

    A file of less than a megabyte may hold 150 million rows.

    Args:
        path: for the message.
        content: of the file.

    Raises:
        StorageError: no Parquet file, or one of more than ``CELLS`` values.
    """
    try:
        stated = pq.ParquetFile(BytesIO(content)).metadata
    except (OSError, ValueError) as error:  # Arrow's errors are among them
        reason = f"{error}".partition("\n")[0]
        raise StorageError(f"{path}: no Parquet file ({reason}); {_remedy(path)}") from None
    if stated.num_rows * max(1, stated.num_columns) > CELLS:
        raise StorageError(
            f"{path}: {stated.num_rows:,} rows of {stated.num_columns} columns, more than the "
            f"{CELLS:,} values that a run's table may hold; {_remedy(path)}"
        )
    return pd.read_parquet(BytesIO(content))


def _remedy(path: Path) -> str:
    return f"restore it, or remove the folder {path.parent.name} to train the run again"


class Tables(dict[str, pd.DataFrame]):
    """Frames to keep with a finished run, refused at once where they could not be stored.

    After the last step a refusal would lose the run.

    Raises:
        ValueError: a name that no run has, or a frame that Parquet cannot hold.

    Example:
        >>> Tables()["norms"] = pd.DataFrame({"norm": [1.0]})
        Traceback (most recent call last):
        ValueError: tables['norms']: a run keeps mined, neighbours; log numbers of your own by ...
    """

    def __setitem__(self, name: str, frame: pd.DataFrame) -> None:
        if name not in WHOLE:
            raise ValueError(
                f"tables[{name!r}]: a run keeps {', '.join(WHOLE)}; log numbers of your own by "
                "trainer.log(table, row)"
            )
        if not isinstance(frame, pd.DataFrame):
            raise ValueError(f"tables[{name!r}] of type {type(frame).__name__}: give a DataFrame")
        try:
            frame.to_parquet(BytesIO())
        except Exception as error:  # pandas and Arrow each have several kinds
            reason = f"{error}".partition("\n")[0]
            raise ValueError(f"tables[{name!r}]: no Parquet file can hold it ({reason})") from None
        super().__setitem__(name, frame)
