"""Tests of what a user reads who has not installed an extra."""

import subprocess
import sys

import pytest
import torch

from xbmlib.backbones import build, save_trunk
from xbmlib.extras import require
from xbmlib.recall import neighbours


class Hidden:
    """A finder that finds one package missing, whatever is installed."""

    def __init__(self, package):
        self.package = package

    def find_spec(self, name, path=None, target=None):
        """Refuse the package and its modules; leave all others to the next finder."""
        if name.split(".")[0] == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def hide(patch, package):
    """Make a package look as if it were not installed."""
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        patch.delitem(sys.modules, name)
    patch.setattr(sys, "meta_path", [Hidden(package), *sys.meta_path])


def test_an_installed_module_is_imported():
    """Oracle: Python's own table of modules, for a dotted name too."""
    assert require("safetensors.torch", extra="study") is sys.modules["safetensors.torch"]


def test_a_module_that_imports_what_is_missing(tmp_path, monkeypatch):
    """Oracle: the message names the module that is missing, not the one that imports it."""
    (tmp_path / "present_module.py").write_text("import absent_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match=r"^absent_module is not.*'xbmlib\[logging\]'$"):
        require("present_module", extra="logging")


def test_a_module_that_fails_is_not_called_missing(tmp_path, monkeypatch):
    """Oracle: its own error, unchanged."""
    (tmp_path / "broken_module.py").write_text("raise ImportError('no libcudart')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="^no libcudart$"):
        require("broken_module", extra="faiss")


@pytest.mark.parametrize(
    ("package", "extra", "call"),
    [
        ("faiss", "faiss", lambda path: neighbours(torch.eye(3), 1)),
        ("torchvision", "study", lambda path: build("googlenet", 4)),
        ("torchvision", "study", lambda path: build("resnet50", 4)),
        ("safetensors", "study", lambda path: build("compact", 4, "scripts")),
        ("safetensors", "study", lambda path: save_trunk(torch.nn.Linear(1, 1), path / "t")),
    ],
)
def test_each_call_names_its_extra(package, extra, call, tmp_path, monkeypatch):
    """Oracle: one line with the package and the command that installs it."""
    hide(monkeypatch, package)
    with pytest.raises(ModuleNotFoundError) as caught:
        call(tmp_path)
    assert str(caught.value).startswith(f"{package} is not installed")
    assert str(caught.value).endswith(f"pip install 'xbmlib[{extra}]'")
    assert list(tmp_path.iterdir()) == []


ROOMS = (
    ("xbmlib.plots", "matplotlib"),
    ("xbmlib.plots.cost", "matplotlib"),
    ("xbmlib.study.notebook", "matplotlib"),
    ("xbmlib.study.notebook", "pydantic"),
    ("xbmlib.datasets.pack", "filelock"),
    ("xbmlib.datasets.pack", "pyarrow"),
)


def test_each_room_names_its_extra():
    """Oracle: one line with the package and the command that installs it, from fresh imports in a
    process of their own.
    """
    code = f"""
import importlib, sys
for module, package in {ROOMS}:
    for name in [n for n in sys.modules if n.split(".")[0] in ("xbmlib", package)]:
        del sys.modules[name]
    sys.modules[package] = None
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        print(error)
    del sys.modules[package]
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    lines = found.stdout.splitlines()
    assert len(lines) == len(ROOMS), found.stderr
    for line, (_, package) in zip(lines, ROOMS, strict=True):
        assert line.startswith(package)
        assert line.endswith("is not installed: pip install 'xbmlib[study]'")


def test_the_rest_works_without_any_extra():
    """Oracle: a process in which importing anything beyond torch and its own needs fails."""
    code = """
import sys
for package in ("faiss", "torchvision", "safetensors", "pandas", "pyarrow", "PIL", "scipy"):
    sys.modules[package] = None
import torch
from xbmlib import backbones, drift, losses, queue, recall, sampler
vectors = backbones.build("compact", 8)(torch.rand(4, 1, 32, 32))
labels = torch.tensor([0, 0, 1, 1])
memory = queue.CrossBatchMemory(4, 8)
memory.enqueue(vectors.detach(), labels)
losses.ContrastiveLoss()(vectors, labels).backward()
assert set(recall.recall_at_k(vectors.detach(), labels, [3])) == {3}
assert len(sampler.PKSampler(labels, 2, 2, steps=1).batch(0)) == 4
assert backbones.build("bninception", 8)(torch.rand(1, 3, 64, 64)).shape == (1, 8)
print("done")
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout == "done\n", found.stderr
