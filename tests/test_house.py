"""Tests that the library keeps to its floors, and that one thing has one name.

Each rule is a function from a source tree to the list of what breaks it. A small tree with one
fault shows that the rule sees it; the repository must have none.
"""

import json
import re
from pathlib import Path

import pytest

from tests.house import HELPERS, SHARED, climbs, second_names, strangers, without_twin

ROOT = Path(__file__).resolve().parents[1]


def test_the_ground_floor_needs_torch_alone():
    """Oracle: Python's grammar and its own list of the standard library; no exception is stale."""
    assert strangers(ROOT) == ([], set())


def test_no_import_upward_and_no_circle():
    """Oracle: the floors above, over every import, lazy ones and those for types among them."""
    assert climbs(ROOT) == []


def test_one_name_from_notebook_to_plot():
    """Oracle: the names of the files, and what each notebook imports."""
    assert second_names(ROOT) == []


def test_tests_mirror_the_library():
    """Oracle: the names of the folders."""
    assert without_twin(ROOT) == []


@pytest.fixture
def tree(tmp_path):
    """A function that writes files by name into an empty tree and returns its root."""

    def write(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path = path.with_suffix(".ipynb" if path.parts[-2] == "notebooks" else ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".ipynb":
                text = json.dumps({"cells": [{"cell_type": "code", "source": [text]}]})
            path.write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize(
    "text",
    [
        "import pandas",
        "from numpy.linalg import norm",
        "import torchvision.models",
        "def f():\n    import scipy",
        "if TYPE_CHECKING:\n    import pandas as pd",
        "from xbmlib.extras import require\nrequire('faiss', extra='faiss')",
        "from xbmlib import datasets",
        "from xbmlib.storage import ROOT",
    ],
)
def test_a_stranger_on_the_ground_floor_is_reported(text, tree):
    """Oracle: one fault, one line that names the module."""
    allowed = "import math\nimport torch.nn\nfrom xbmlib.queue import Ring\n"
    root = tree(
        xbmlib__queue="", xbmlib__datasets="", xbmlib__storage="", xbmlib__extras="",
        xbmlib__losses__pairs=allowed + text,
    )  # fmt: skip
    (line,) = strangers(root)[0]
    assert line.startswith("xbmlib.losses.pairs imports ")


def test_an_exception_is_for_calls_alone(tree):
    """Oracle: the same import inside a function, and at the top of the module."""
    root = tree(xbmlib__recall__nearest="def f():\n    import faiss")
    assert strangers(root)[0] == []
    root = tree(xbmlib__recall__nearest="import faiss")
    assert strangers(root)[0] == ["xbmlib.recall.nearest imports faiss"]


@pytest.mark.parametrize(
    ("files", "reported"),
    [
        ({"xbmlib__training__run": "def f():\n    from xbmlib.study import plan"}, "higher floor"),
        ({"xbmlib__datasets__pack": "import benchmarks.cost"}, "higher floor"),
        ({"notebooks__cost": "from xbmlib.report import claims"}, "higher floor"),
        ({"xbmlib__queue": "from xbmlib import drift", "xbmlib__drift": "import xbmlib.queue"},
         "a circle: (queue - drift|drift - queue)"),
        ({"xbmlib__training__run": "import xbmlib.training.store",
          "xbmlib__training__store": "import xbmlib.training.run"}, "training.(run|store) - "),
        ({"xbmlib__attic": ""}, "attic is on no floor"),
    ],
)  # fmt: skip
def test_a_climb_is_reported(files, reported, tree):
    """Oracle: one fault, the first line; without it, none."""
    sound = {"xbmlib__study__plan": "from xbmlib.training import run", "xbmlib__training__run": "",
             "xbmlib__report__claims": "", "benchmarks__cost": "import xbmlib.queue",
             "xbmlib__queue": "", "xbmlib__drift": "from xbmlib import queue"}  # fmt: skip
    assert climbs(tree(**sound)) == []
    assert re.search(reported, climbs(tree(**sound | files))[0])


@pytest.mark.parametrize(
    ("files", "reported"),
    [
        ({"notebooks__cost": "from xbmlib.study.figures.benchmarks import draw"},
         ["cost.ipynb does not import xbmlib.study.figures.cost"]),
        ({"notebooks__price": "from xbmlib.study.figures import cost"},
         ["xbmlib/study/figures/price.py is missing", "xbmlib/plots/price.py is missing",
          "price.ipynb does not import xbmlib.study.figures.price"]),
        ({"xbmlib__plots__price": ""}, ["xbmlib/plots/price.py has no notebook"]),
        ({"xbmlib__plots__pretrain": ""}, ["xbmlib/plots/pretrain.py has no notebook"]),
        ({"figures__full__costs": ""}, ["figures/full/costs.py has no notebook"]),
    ],
)  # fmt: skip
def test_a_second_name_is_reported(files, reported, tree):
    """Oracle: one fault, and what is amiss with it; without it, nothing."""
    sound = {f"{folder}__{name}".replace("/", "__"): ""
             for folder, helpers in HELPERS.items() for name in helpers}  # fmt: skip
    for name in ("cost", "pretrain", "recall_sop"):
        module = SHARED.get(name, name)
        sound[f"notebooks__{name}"] = f"from xbmlib.study.figures import {module}"
        sound[f"xbmlib__study__figures__{module}"] = sound[f"xbmlib__plots__{module}"] = ""
    del sound["xbmlib__plots__pretrain"]
    sound |= {"figures__quick__cost": "", "figures__full__cost_pairs": ""}
    assert second_names(tree(**sound)) == []
    assert second_names(tree(**sound | files)) == reported


def test_a_folder_of_tests_without_a_twin_is_reported(tree):
    """Oracle: by hand."""
    root = tree(xbmlib__losses__pairs="", tests__losses__test_pairs="", tests__test_queue="")
    assert without_twin(root) == []
    assert without_twin(tree(tests__losses__old__test_pairs="")) == ["tests/losses/old"]
