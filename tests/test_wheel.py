"""Tests of what a user installs: the wheel, alone with torch and beside the extras."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import BytesParser
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
# What a build reads, and what it could take by mistake; not what an earlier build left behind.
COPIED = ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "xbmlib", "notebooks", "tests",
          "tools", "benchmarks")  # fmt: skip
ONLY_IN_THE_CHECKOUT = {".parquet", ".safetensors"}
BUILD_SDIST = """
import sys
from setuptools import build_meta
print(build_meta.build_sdist(sys.argv[1]))
"""
IMPORT_ALL = """
import importlib, pkgutil, sys
import xbmlib
names = ["xbmlib", *(m.name for m in pkgutil.walk_packages(xbmlib.__path__, "xbmlib."))]
for name in names:
    print(name, importlib.import_module(name).__file__)
"""
USE_WITH_TORCH_ALONE = """
import importlib.util
assert not any(map(importlib.util.find_spec, ("numpy", "pandas", "torchvision", "pydantic")))
import torch
import xbmlib.drift
from xbmlib import XBM, ContrastiveLoss, PKSampler, recall_at_k

labels = torch.tensor([0, 0, 1, 1])
assert sorted(PKSampler(labels, 2, 2, steps=1).batch(0)) == [0, 1, 2, 3]
anchors = torch.tensor([[1, 0], [0.6, 0.8], [0.8, 0.6], [0, 1]], requires_grad=True)
xbm = XBM(ContrastiveLoss(lam=0.5), size=4, dim=2, start=0)
value = xbm(anchors, labels)
value.backward()
found = recall_at_k(anchors.detach(), labels, [1, 2])
print(xbmlib.__version__, round(value.item(), 4), found[1], found[2])
"""
IMPORT_WITH_TORCH_ALONE = """
import importlib
for name in ("training", "datasets", "paper", "study", "report"):
    try:
        importlib.import_module(f"xbmlib.{name}")
    except ModuleNotFoundError as error:
        print(name, type(error).__name__, error)
"""
COMMANDS = {"study": "study", "study.sweep": "study", "train": "study", "report": "report"}


def python(*arguments, path, cwd):
    """Run a fresh interpreter without site-packages, which sees the folders of ``path`` alone."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    # Torch warns where NumPy is missing.
    command = [sys.executable, "-S", "-P", "-W", "ignore", *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)


def done(*command, cwd):
    """The output of a command that has to succeed."""
    found = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the sdist of a copy of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "copy"
    copy.mkdir()
    for path in map(ROOT.joinpath, COPIED):
        if path.is_dir():
            shutil.copytree(path, copy / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, copy)
    sdist = done(sys.executable, "-c", BUILD_SDIST, str(folder), cwd=copy).split()[-1]
    options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation")
    done(sys.executable, "-m", "pip", "wheel", *options, sdist, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def target(wheel):
    """A folder with the wheel installed and nothing else."""
    folder = wheel.parent / "target"
    options = ("--quiet", "--no-deps", "--no-index", "--target", str(folder))
    done(sys.executable, "-m", "pip", "install", *options, str(wheel), cwd=wheel.parent)
    return folder


def needed(requirement, seen=()):
    """The distributions that a requirement brings along, its own included."""
    key = canonicalize_name(requirement.name), frozenset(requirement.extras)
    if key in seen:
        return {}
    found = {key: metadata.distribution(requirement.name)}
    for text in found[key].requires or ():
        other = Requirement(text)
        extras = ("", *requirement.extras)
        if other.marker is None or any(other.marker.evaluate({"extra": e}) for e in extras):
            found |= needed(other, {*seen, *found})
    return found


@pytest.fixture(scope="module")
def torch_alone(tmp_path_factory):
    """A folder that shows torch and what it requires, and no other installed distribution."""
    folder = tmp_path_factory.mktemp("torch")
    for distribution in needed(Requirement("torch")).values():
        for name in {file.parts[0] for file in distribution.files} - {".."}:
            if not (folder / name).exists():
                (folder / name).symlink_to(Path(distribution.locate_file(name)).resolve())
    return folder


def test_the_wheel_holds_the_library_but_no_images_and_no_weights(wheel):
    """Oracle: the files of xbmlib/ in the checkout; CARDS.md, py.typed and pages among them."""
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "xbmlib").rglob("*")
        if path.is_file()
        and path.suffix not in ONLY_IN_THE_CHECKOUT
        and "__pycache__" not in path.parts
    }
    names = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert sorted(names) == sorted(expected)
    assert wheel.stat().st_size < 1_000_000


def test_torch_alone_is_required(wheel):
    """Oracle: the list of extras that the README offers; each requirement but torch is in one."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        found = BytesParser().parsebytes(archive.read(name))
    required = [text for text in found.get_all("Requires-Dist") if "extra ==" not in text]
    assert required == ["torch>=2.4"]
    assert set(found.get_all("Provides-Extra")) == {
        "study", "faiss", "metric-learning", "report", "logging", "sweeps", "tools", "dev",
    }  # fmt: skip


def test_every_module_imports_from_the_wheel(target, tmp_path):
    """Oracle: the modules of the checkout; each from the target, none from the checkout."""
    site = metadata.distribution("torch").locate_file("")
    found = python("-c", IMPORT_ALL, path=[target, site], cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    files = dict(line.split(" ", 1) for line in found.stdout.splitlines())
    expected = [p.relative_to(ROOT / "xbmlib") for p in (ROOT / "xbmlib").rglob("*.py")]
    assert len(files) == len([p for p in expected if "pages" not in p.parts])
    assert [f for f in files.values() if not Path(f).is_relative_to(target)] == []


def test_the_library_works_with_torch_alone(target, torch_alone, tmp_path):
    """Oracle: by hand. L_i is 1.2, 2.16, 2.16, 1.2, the same in the batch and in the memory."""
    found = python("-c", USE_WITH_TORCH_ALONE, path=[target, torch_alone], cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == [metadata.version("xbmlib"), "3.36", "0.0", "0.5"]


def test_what_an_extra_lacks_is_one_line(target, torch_alone, tmp_path):
    """Oracle: the remedy, word for word; a command ends with it alone, an import raises it."""
    path = [target, torch_alone]
    for name, extra in COMMANDS.items():
        found = python("-m", f"xbmlib.{name}", path=path, cwd=tmp_path)
        wanted = rf"\w+ is not installed: pip install 'xbmlib\[{extra}\]'\n"
        assert found.returncode == 1 and re.fullmatch(wanted, found.stderr), found.stderr
    found = python("-c", IMPORT_WITH_TORCH_ALONE, path=path, cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    lines = [line.split() for line in found.stdout.splitlines()]
    assert [(name, kind, " ".join(rest)) for name, kind, _, *rest in lines] == [
        (name, "MissingExtra", f"is not installed: pip install 'xbmlib[{extra}]'")
        for name, extra in (
            ("training", "study"), ("datasets", "study"), ("paper", "study"), ("study", "study"),
            ("report", "report"),
        )
    ]  # fmt: skip
