"""Tests that the lock, environment.yml, pyproject.toml and what is installed agree."""

import datetime
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
INSTALLERS = {"pip", "wheel"}  # they come with an environment, and no version of theirs matters
CONDA = (Path(sys.prefix) / "conda-meta").is_dir()
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"


def pins(lines, python=RUNNING):
    """Exact pins by canonical name, of those that this Python's version gets.

    A range, an address, a +local part, a second pin, or a condition on anything but the version of
    Python fails.
    """
    found = {}
    for line in lines:
        pin = re.fullmatch(
            r"([A-Za-z0-9][\w.-]*)==(\d[\w.]*)(; python_version [<>=]=? \"[\d.]+\")?", line
        )
        assert pin, f"not an exact pin: {line}"
        name = canonicalize_name(pin[1])
        assert name not in found, f"pinned twice: {name}"
        if not pin[3] or Marker(pin[3][1:]).evaluate({"python_version": python}):
            found[name] = pin[2]
    return found


def lock(python=RUNNING):
    """The lock's pins."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return pins([line for line in lines if line and not line.startswith("#")], python)


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
    """Requirements that pyproject.toml names, extras included, but for its own extras."""
    project = metadata_of_project()
    listed = sum(project["optional-dependencies"].values(), project["dependencies"])
    return [r for r in map(Requirement, listed) if r.name != project["name"]]


def metadata_of_project():
    """The table that pyproject.toml describes the project in."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pythons():
    """The versions of Python that pyproject.toml's classifiers name."""
    named = [text.rpartition(" :: ")[2] for text in metadata_of_project()["classifiers"]]
    return [version for version in named if re.fullmatch(r"3\.\d+", version)]


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


@pytest.mark.parametrize("python", pythons())
def test_lock_satisfies_pyproject(python):
    """Oracle: packaging's reading of each range."""
    assert out_of_range(lock(python), direct()) == []


def test_environment_yml_agrees_with_the_lock():
    """Oracle: equality, pin by pin; every direct requirement is there, and nothing else."""
    pinned = conda_pins()
    assert differing(pinned, lock(), direct()) == []
    assert pinned.keys() == {canonicalize_name(r.name) for r in direct()}


def test_installed_agrees_with_the_lock():
    """Oracle: the metadata of what is installed; both hold the same, but for conda's own."""
    pairs, locked = installed(), lock()
    if CONDA:
        # environment.yml pins what is direct and leaves the rest to pip.
        pairs = [(name, version) for name, version in pairs if name in conda_pins()]
        locked = {name: locked[name] for name in conda_pins()}
    assert strangers(pairs, locked) == []
    assert locked.keys() == {name for name, _ in pairs}


@pytest.mark.skipif(CONDA, reason="environment.yml leaves what is indirect to pip")
def test_the_lock_holds_what_the_extras_bring_along():
    """Oracle: the metadata of what is installed; each requirement of a requirement is pinned."""
    locked, waiting, seen = lock(), direct(), set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        assert requirement.specifier.contains(locked.get(name, "0")), str(requirement)
        if (key := (name, *sorted(requirement.extras))) in seen:
            continue
        seen.add(key)
        for other in map(Requirement, metadata.distribution(name).requires or ()):
            extras = ("", *requirement.extras)
            if not other.marker or any(other.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(other)
    assert {name for name, *_ in seen} == locked.keys()


def test_python_is_one_that_the_lock_is_for():
    """Oracle: the classifiers, with the oldest that requires-python and environment.yml name."""
    assert RUNNING in pythons()
    assert metadata_of_project()["requires-python"] == f">={pythons()[0]}"
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert conda["dependencies"][0] == f"python={pythons()[0]}"


@pytest.mark.parametrize("version", [*pythons(), "3.10", "3.14", "2.7"])
def test_make_takes_the_pythons_that_the_lock_is_for(version):
    """Oracle: the classifiers, and the Makefile's own condition, with that version put in."""
    makefile = (ROOT / "Makefile").read_text()
    (suits,) = re.findall(r"^SUITS := import sys, .*; sys.exit\((.*)\)$", makefile, re.M)
    running = SimpleNamespace(version_info=(*map(int, version.split(".")), 0))
    assert eval(suits, {"sys": running}) == (version not in pythons())


def test_a_pin_of_one_python_is_that_python_s():
    """Oracle: PEP 508's python_version."""
    lines = ["numpy==2.4.6", 'yarl==1.25.1; python_version == "3.12"']
    assert pins(lines, "3.12") == {"numpy": "2.4.6", "yarl": "1.25.1"}
    assert pins(lines, "3.13") == {"numpy": "2.4.6"}


def test_citation_names_the_package_and_the_paper():
    """Oracle: pyproject.toml, the paper's title page, and what version 1.2.0 of CFF requires."""
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= cff.keys()
    assert (cff["cff-version"], cff["type"]) == ("1.2.0", "software")
    project = metadata_of_project()
    assert (cff["version"], cff["license"]) == (project["version"], project["license"])
    assert isinstance(cff["date-released"], datetime.date)
    paper = cff["preferred-citation"]
    assert {"type", "title", "authors"} <= paper.keys()
    assert paper["title"] == "Cross-Batch Memory for Embedding Learning"
    authors = [f"{a['given-names']} {a['family-names']}" for a in paper["authors"]]
    assert authors == ["Xun Wang", "Haozhi Zhang", "Weilin Huang", "Matthew R. Scott"]
    assert (paper["type"], paper["year"]) == ("conference-paper", 2020)
    assert paper["end"] - paper["start"] == 9  # ten pages
    assert "name" in paper["conference"]


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
        ['numpy==2.4.6; sys_platform == "linux"'],
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
