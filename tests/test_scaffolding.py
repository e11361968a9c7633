"""Tests of the files that other tools read."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def test_hooks_have_the_locked_versions():
    """Oracle: requirements.lock."""
    locked = dict(re.findall(r"^(\S+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.M))
    repos = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = {repo["repo"].split("/")[-1].split("-")[0]: repo["rev"] for repo in repos}
    assert hooks == {"ruff": f"v{locked['ruff']}", "nbstripout": locked["nbstripout"]}


def test_the_workflow_runs_what_everyone_runs():
    """Oracle: the file itself, and that it may be executed."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    commands = [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step]
    assert commands == [".ci/run"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_notebooks_are_as_the_hook_leaves_them():
    """Oracle: nbstripout's own check, of every notebook, with the hook's arguments."""
    repos = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    (hook,) = (hook for repo in repos for hook in repo["hooks"] if hook["id"] == "nbstripout")
    notebooks = sorted(map(str, (ROOT / "notebooks").glob("*.ipynb")))
    command = [sys.executable, "-m", "nbstripout", "--verify", *hook["args"], *notebooks]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_paths_that_the_guide_names_exist():
    """Oracle: the file system, with one notebook's name for NAME."""
    guide = (ROOT / "CONTRIBUTING.md").read_text().replace("NAME", "cost")
    named = re.findall(r"`((?:xbmlib|tests|notebooks|\.ci)/[\w./]*)`", guide)
    assert len(named) > 8
    assert [path for path in named if not (ROOT / path).exists()] == []
