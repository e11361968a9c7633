"""Tests of the tables of a run: its own, a callback's, and what Parquet files state of theirs."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.training.test_callbacks import trained
from tests.training.test_run import one_thread, small
from tests.training.test_store import ID, example
from xbmlib.storage import StorageError, write_json
from xbmlib.training import digests
from xbmlib.training.callbacks import Callback
from xbmlib.training.store import RunStore
from xbmlib.training.tables import CELLS, MEASURED, Tables, read_table

# Fixtures; one_thread is autouse.
__all__ = ["one_thread", "small"]


@pytest.mark.parametrize("table", MEASURED)
def test_the_runs_own_tables_are_reserved(small, tmp_path, table):
    """Oracle: the step of the error: the first."""

    class Intruder(Callback):
        steps = 0

        def on_step(self, trainer, step):
            self.steps += 1
            trainer.log(table, {"R@1": 1.0})

    intruder = Intruder()
    with pytest.raises(ValueError, match=f"table='{table}': step, drift, evaluation are"):
        trained(tmp_path, callbacks=[intruder])
    assert intruder.steps == 1


@pytest.mark.parametrize(
    ("name", "frame", "message"),
    [
        ("norms", pd.DataFrame({"a": [1]}), r"tables\['norms'\]: a run keeps mined, neighbours"),
        ("mined", {"a": [1]}, "of type dict: give a DataFrame"),
        ("mined", pd.DataFrame({"a": [1, object()]}), "no Parquet file can hold it"),
        ("mined", pd.DataFrame([[1, 2]], columns=["a", "a"]), "no Parquet file can hold it"),
    ],
)
def test_a_frame_that_could_not_be_stored(name, frame, message):
    """Oracle: one line with name and fault; the tables stay as they were."""
    tables = Tables(mined=pd.DataFrame({"b": [2]}))
    with pytest.raises(ValueError, match=message) as caught:
        tables[name] = frame
    assert "\n" not in str(caught.value) and tables.keys() == {"mined"}
    tables["neighbours"] = pd.DataFrame({"b": [3]})


def test_a_small_file_of_very_many_rows(tmp_path):
    """Oracle: a run whose table is replaced, digest and all, by rows of zeros: a file of less than
    a megabyte, refused by its footer with name, rows and remedy.
    """
    store = RunStore(tmp_path)
    store.save(example())
    path = store.path(ID) / "metrics.parquet"
    part = pa.table({"step": pa.array([0] * (CELLS // 8), pa.int8())})
    with pq.ParquetWriter(path, part.schema) as file:
        for _ in range(9):
            file.write_table(part)
    assert path.stat().st_size < 1e6
    record = digests.read_sealed(store.path(ID) / "recall.json")
    record["files"][path.name] = digests.file_digest(path)
    del record["digest"]
    record = digests.sealed(record)
    write_json(store.path(ID) / "recall.json", record)
    provenance = example().provenance
    write_json(store.path(ID) / "provenance.json", digests.sealed(provenance, record["digest"]))
    with pytest.raises(StorageError, match=rf"metrics\.parquet: {9 * CELLS // 8:,} rows.*restore"):
        store.load(ID)


def test_no_parquet_file(tmp_path):
    """Oracle: one line with file and remedy; a sound file comes back as it was."""
    path = tmp_path / "run" / "a.parquet"
    for content in (b"", b"PAR1", b"PAR1" * 9):
        with pytest.raises(
            StorageError, match=r"a\.parquet: no Parquet file.*folder run"
        ) as caught:
            read_table(path, content)
        assert "\n" not in str(caught.value)
    frame = pd.DataFrame({"a": [1.5, 2.5]})
    pd.testing.assert_frame_equal(read_table(path, frame.to_parquet()), frame)
