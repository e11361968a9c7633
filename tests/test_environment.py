"""Tests that the lock, environment.yml, pyproject.toml and what is installed agree."""

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
INSTALLERS = {"pip", "setuptools", "wheel"}  # they come with Python, and pip freeze omits them


def pins(lines):
    """Exact pins by canonical name; a range, an address, a +local part or a second pin fails."""
    found = {}
    for line in lines:
        pin = re.fullmatch(r"([A-Za-z0-9][\w.-]*)==(\d[\w.]*)", line)
        assert pin, f"not an exact pin: {line}"
        name = canonicalize_name(pin[1])
        assert name not in found, f"pinned twice: {name}"
        found[name] = pin[2]
    return found


def lock():
    """The lock's pins."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return pins(line for line in lines if line and not line.startswith("#"))


def conda_pins():
    """The pins of environment.yml, which end in the project itself."""
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert conda["name"] == "xbm-study"
    *packages, last = conda["dependencies"]
    assert packages == ["python=3.11", "pip"]
    *listed, project = last["pip"]
    assert project == "-e ."
    return pins(listed)


def direct():
    """Requirements that pyproject.toml names, extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = sum(project["optional-dependencies"].values(), project["dependencies"])
    return [Requirement(text) for text in listed]


def installed():
    """Name and version of all that is installed, as (name, version) pairs."""
    found = [(canonicalize_name(d.metadata["Name"]), d.version) for d in metadata.distributions()]
    # Torch's own index adds a local part, +cu130; a lock without one means them all.
    return [(n, v.split("+")[0]) for n, v in found if n not in INSTALLERS | {"xbmlib"}]


def out_of_range(locked, requirements):
    """The direct requirements that the lock lacks or has at a version outside of the range."""
    return [
        str(r)
        for r in requirements
        if not r.specifier.contains(locked.get(canonicalize_name(r.name), "0"))
    ]


def differing(pinned, locked, requirements):
    """Names whose pin is not the lock's, and direct requirements with no pin."""
    expected = {canonicalize_name(r.name) for r in requirements}
    return sorted(
        name for name in pinned.keys() | expected if pinned.get(name) != locked.get(name, "absent")
    )


def strangers(pairs, locked):
    """What is installed at a version that is not the lock's."""
    return [f"{name} {version}" for name, version in pairs if locked.get(name) != version]


def test_lock_satisfies_pyproject():
    """Oracle: packaging's reading of each range."""
    assert out_of_range(lock(), direct()) == []


def test_environment_yml_agrees_with_the_lock():
    """Oracle: equality, pin by pin; every direct requirement is there, and nothing else."""
    pinned = conda_pins()
    assert differing(pinned, lock(), direct()) == []
    assert pinned.keys() == {canonicalize_name(r.name) for r in direct()}


def test_installed_agrees_with_the_lock():
    """Oracle: the metadata of what is installed; both hold the same, but for conda's own."""
    pairs, locked = installed(), lock()
    if (Path(sys.prefix) / "conda-meta").is_dir():
        # environment.yml pins what is direct and leaves the rest to pip.
        pairs = [(name, version) for name, version in pairs if name in conda_pins()]
        locked = {name: locked[name] for name in conda_pins()}
    assert strangers(pairs, locked) == []
    assert locked.keys() == {name for name, _ in pairs}


def test_python_is_the_one_that_the_lock_is_for():
    """Oracle: environment.yml's python=3.11."""
    assert sys.version_info[:2] == (3, 11)


def test_citation_has_the_version_of_the_package():
    """Oracle: pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == project["version"]


@pytest.mark.parametrize(
    "lines",
    [
        ["numpy>=2"],
        ["numpy"],
        ["torch==2.14.1+cu130"],
        ["torch @ file:///torch.whl"],
        ["-e ."],
        ["numpy==2.*"],
        ["numpy==2.4.6", "NumPy==2.4.6"],
    ],
)
def test_what_is_no_exact_pin_is_refused(lines):
    """Oracle: what pip freeze may write, and a lock must not hold."""
    with pytest.raises(AssertionError, match="pin"):
        pins(lines)


@pytest.mark.parametrize("requirement", direct(), ids=lambda r: r.name)
def test_a_wrong_or_missing_version_is_seen(requirement):
    """Oracle: one direct requirement at a time, moved or dropped, is the one reported."""
    name, right = canonicalize_name(requirement.name), lock()
    wrong = {**right, name: "0.0.1"}
    less = {key: version for key, version in right.items() if key != name}
    for locked in wrong, less:
        assert out_of_range(locked, direct()) == [str(requirement)]
        assert differing(right, locked, direct()) == [name]
    direct_pins = conda_pins()
    del direct_pins[name]
    assert differing(direct_pins, right, direct()) == [name]
    pairs = [(name, right[name])]
    assert strangers(pairs, right) == []
    assert strangers(pairs, wrong) == strangers(pairs, less) == [f"{name} {right[name]}"]
