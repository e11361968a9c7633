"""The table of a data set as a Parquet file, for all builders."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

MOST_BYTES = 25_000_000


def write(path: Path, images: pa.Array, labels: Sequence[int], **texts: Sequence[str]) -> None:
    """Write one row per image as Parquet, whole or not at all.

    Args:
        path: the file.
        images: bytes of each image.
        labels: class of each image.
        **texts: further columns, in their order.

    Raises:
        SystemExit: a file that is too large for the repository.
    """
    columns = {"image": images, "label": pa.array(labels, pa.int32())}
    columns |= {name: pa.array(values).dictionary_encode() for name, values in texts.items()}
    buffer = io.BytesIO()
    pq.write_table(
        pa.table(columns),
        buffer,
        compression="brotli",
        compression_level=11,
        use_dictionary=["label", *texts],
        data_page_size=1 << 22,
        row_group_size=20_000,
    )
    if buffer.tell() > MOST_BYTES:
        raise SystemExit(f"{path.name}: {buffer.tell():,} bytes, more than {MOST_BYTES:,}")
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(buffer.getvalue())
    os.replace(temporary, path)
