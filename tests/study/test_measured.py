"""Tests of the tables of results/ that benchmarks and searches have measured."""

import pytest

from xbmlib.storage import CHECKOUT, StorageError
from xbmlib.study.measured import COLUMNS, FURTHER, measured


@pytest.fixture
def root(tmp_path):
    """A folder with a results/ of its own."""
    (tmp_path / "results").mkdir()
    return tmp_path


@pytest.mark.parametrize("name", COLUMNS)
def test_every_committed_table_can_be_read(name):
    """Oracle: the head and the number of lines of the file."""
    head, *lines = (CHECKOUT / "results" / f"{name}.csv").read_text().splitlines()
    table = measured(name, (CHECKOUT,))
    assert list(table.columns) == head.split(",") and len(table) == len(lines)
    assert COLUMNS[name] <= set(table.columns) <= COLUMNS[name] | FURTHER.get(name, set())


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "cannot be read as a table (No columns"),
        ("M,D\n1,2,3\n4,5,6,7\n", "cannot be read as a table ("),
        ("M,D\n1024,512\n", "no column loss, ms;"),
        ('{"M": 1024}', "no column D, M, loss, ms;"),
    ],
)
def test_a_damaged_or_foreign_table_is_named(root, text, fault):
    """Oracle: the file, what is wrong with it, and the remedy."""
    path = root / "results" / "benchmarks_growth.csv"
    path.write_text(text)
    with pytest.raises(StorageError) as caught:
        measured("benchmarks_growth", (root, CHECKOUT))
    assert str(caught.value).startswith(f"{path}: {fault}")
    assert "restore the committed file" in str(caught.value)


def test_the_first_root_that_has_a_table_counts(tmp_path, monkeypatch):
    """Oracle: by default the table at the root, then the checkout's; without either, one line that
    names the folder and the command that measures.
    """
    for name in ("ROOT", "CHECKOUT"):
        monkeypatch.setattr(f"xbmlib.study.measured.{name}", tmp_path / name)
    missing = r"^benchmarks_growth\.csv is not in .*/ROOT/results: run `make bench` first"
    with pytest.raises(FileNotFoundError, match=missing):
        measured("benchmarks_growth")
    for ms, name in enumerate(("CHECKOUT", "ROOT")):
        path = tmp_path / name / "results" / "benchmarks_growth.csv"
        path.parent.mkdir(parents=True)
        path.write_text(f"loss,M,D,ms\ncontrastive,1024,512,{ms}\n")
        assert measured("benchmarks_growth")["ms"].tolist() == [ms]
