"""Tests of what a user reads who has not installed an extra."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.house import DEFERRED
from tests.imports import imports
from xbmlib.backbones import build, save_trunk
from xbmlib.datasets import cars
from xbmlib.datasets.views import VIEWS
from xbmlib.extras import MissingExtra, require, require_installed
from xbmlib.recall import neighbours

ROOT = Path(__file__).resolve().parents[1]


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
        ("scipy", "study", lambda path: cars.read([path / "cars_annos.mat"], "car_ims")),
        ("torchvision", "study", lambda path: VIEWS["paper"].test(torch.zeros(3, 8, 8).byte())),
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


def of_extras():
    """(module, package) of every import at the top of a module above the ground floor."""
    own = {*sys.stdlib_module_names, "torch", "xbmlib"}
    found = {
        (module, target.split(".")[0])
        for module, target, lazy in imports(ROOT)
        if module.startswith("xbmlib") and not lazy and module not in DEFERRED
    }
    return sorted((module, package) for module, package in found if package not in own)


def test_each_module_names_its_extra():
    """Oracle: Python's grammar, for what each module imports; one line with the package and the
    command that installs it, from fresh imports in a process in which the package is missing.
    """
    wanted = of_extras()
    assert {"xbmlib.training.tables", "xbmlib.study.statistics"} <= {module for module, _ in wanted}
    code = f"""
import importlib, sys
import torch
for module, package in {wanted}:
    for name in [n for n in sys.modules if n.split(".")[0] == "xbmlib"]:
        del sys.modules[name]
    before = {{n: sys.modules.pop(n) for n in [*sys.modules] if n.split(".")[0] == package}}
    sys.modules[package] = None
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        print(module, error)
    del sys.modules[package]
    sys.modules |= before
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [tuple(line.split(" ", 2)) for line in done.stdout.splitlines()]
    extra = {
        module: "report" if module.startswith("xbmlib.report") else "study" for module, _ in wanted
    }
    assert found == [
        (module, package, f"is not installed: pip install 'xbmlib[{extra[module]}]'")
        for module, package in wanted
    ]


def test_what_is_installed_is_not_imported_to_see_it(tmp_path, monkeypatch):
    """Oracle: Python's own table of modules; the line of what is missing, after one that is not."""
    (tmp_path / "present_module.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    require_installed("present_module", extra="study")
    with pytest.raises(MissingExtra, match=r"^absent_module is not.*'xbmlib\[study\]'$"):
        require_installed("present_module", "absent_module", extra="study")
    assert "present_module" not in sys.modules


def run_without(package, command, folder):
    """``python -m`` a command in a process in which a package is missing."""
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules[{package!r}] = None\n")
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (folder, ROOT)))}
    return subprocess.run([sys.executable, "-m", command], env=env, capture_output=True, text=True)


@pytest.mark.parametrize("command", ["xbmlib.study", "xbmlib.study.sweep", "xbmlib.train",
                                     "xbmlib.datasets.pack", "xbmlib.report"])  # fmt: skip
def test_a_command_ends_in_that_line_alone(command, tmp_path):
    """Oracle: ``python -m`` itself, without pandas: its exit code and all of its output."""
    done = run_without("pandas", command, tmp_path)
    extra = "report" if command == "xbmlib.report" else "study"
    line = f"pandas is not installed: pip install 'xbmlib[{extra}]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


@pytest.mark.parametrize("package", ["tqdm", "papermill", "scipy"])
def test_the_site_names_what_its_notebooks_lack(package, tmp_path):
    """Oracle: ``python -m`` itself, without a package that only the study imports."""
    done = run_without(package, "xbmlib.report", tmp_path)
    line = f"{package} is not installed: pip install 'xbmlib[study]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


def test_a_command_of_another_package_goes_on(tmp_path):
    """Oracle: ``python -m`` of a package that catches the error and prints it."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "__init__.py").write_text(
        "try:\n    import xbmlib.study\nexcept ImportError as error:\n    found = error\n"
    )
    (other / "__main__.py").write_text("from other import found\nprint(found)\n")
    done = run_without("pandas", "other", tmp_path)
    line = "pandas is not installed: pip install 'xbmlib[study]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, line, "")


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
