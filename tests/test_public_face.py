"""Tests of what ``import xbmlib`` offers, and of what it costs."""

import subprocess
import sys
import tomllib
from importlib import metadata, reload
from pathlib import Path

import xbmlib

ROOT = Path(__file__).resolve().parents[1]


def test_the_names_are_those_of_their_modules():
    """Oracle: the modules themselves."""
    from xbmlib import losses, queue, recall, sampler, xbm

    homes = {
        "XBM": xbm, "ContrastiveLoss": losses, "TripletLoss": losses,
        "MultiSimilarityLoss": losses, "CrossBatchMemory": queue, "PKSampler": sampler,
        "recall_at_k": recall,
    }  # fmt: skip
    assert set(xbmlib.__all__) == {*homes, "__version__"}
    for name, module in homes.items():
        assert getattr(xbmlib, name) is getattr(module, name)


def test_the_version_is_the_packages(monkeypatch):
    """Oracle: pyproject.toml; and where the package was never installed, a version all the same."""
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert xbmlib.__version__ == stated

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    try:
        with monkeypatch.context() as patch:
            patch.setattr(metadata, "version", missing)
            assert reload(xbmlib).__version__ == "0+unknown"
    finally:
        assert reload(xbmlib).__version__ == stated


def test_importing_imports_torch_and_no_more():
    """Oracle: the modules of a fresh interpreter that has imported torch alone, then xbmlib."""
    code = (
        "import sys, torch\n"
        "def loaded(): return {m.split('.')[0] for m in sys.modules} - sys.stdlib_module_names\n"
        "before = loaded()\n"
        "import xbmlib\n"
        "print(*(loaded() - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split() == ["xbmlib"]
