"""The data sets on disk as fixtures: small trees, made once for a module."""

import pytest

from tests.datasets.trees import TREES


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """A folder that holds a tree of each data set."""
    folder = tmp_path_factory.mktemp("data")
    for tree in TREES.values():
        tree(folder)
    return folder


@pytest.fixture
def data(trees, monkeypatch):
    """The same folder, which XBM_DATA names."""
    monkeypatch.setenv("XBM_DATA", str(trees))
    return trees
