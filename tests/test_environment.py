"""Tests that the lock, environment.yml, pyproject.toml and what is installed agree."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent


def pins(lines):
    """Exact pins by canonical name; anything else in the lines fails."""
    found = {}
    for line in lines:
        name, version = re.fullmatch(r"([\w.-]+)==([\w.]+)", line).groups()
        found[canonicalize_name(name)] = version
    return found


def lock():
    """The lock's pins."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return pins(line for line in lines if line and not line.startswith("#"))


def direct():
    """Requirements that pyproject.toml names, extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = sum(project["optional-dependencies"].values(), project["dependencies"])
    return [Requirement(text) for text in listed]


def test_lock_satisfies_pyproject():
    """Oracle: packaging's reading of each range."""
    locked = lock()
    for requirement in direct():
        version = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} against {version}"


def test_environment_yml_agrees_with_the_lock():
    """Oracle: equality, pin by pin; every direct requirement is there."""
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert "python=3.11" in conda
    (listed,) = (entry["pip"] for entry in conda if isinstance(entry, dict))
    assert listed.pop() == "-e ."
    pinned, locked = pins(listed), lock()
    assert pinned == {name: locked[name] for name in pinned}
    assert pinned.keys() == {canonicalize_name(r.name) for r in direct()}


def test_installed_agrees_with_the_lock():
    """Oracle: the metadata of what is installed."""
    for name, version in lock().items():
        assert metadata.version(name).split("+")[0] == version, name
