"""Tests of what is recorded of a run's origin."""

import subprocess

import pytest

from tests.training.test_run import SMALL, one_thread, small
from xbmlib import datasets
from xbmlib.training import provenance, trainer
from xbmlib.training.experiment import Experiment

# Fixtures; one_thread is autouse.
__all__ = ["one_thread", "small"]


def git(folder, *words):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(folder), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """A repository with one commit, and the commit."""
    folder = tmp_path.resolve() / "checkout"
    folder.mkdir()
    git(folder, "init", "-q")
    git(folder, "commit", "-q", "--allow-empty", "-m", "one")
    return folder, git(folder, "rev-parse", "HEAD")


def test_the_commit_is_that_of_the_packages_checkout(repository, tmp_path, monkeypatch):
    """Oracle: git's own answer, whatever repository the environment or the results lie in."""
    folder, commit = repository
    monkeypatch.setattr(provenance, "CHECKOUT", folder)
    assert provenance.commit() == commit
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    git(other, "commit", "-q", "--allow-empty", "-m", "another")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("XBM_ROOT", str(other))
    monkeypatch.chdir(other)
    assert provenance.commit() == commit


def test_no_commit_outside_of_a_checkout(repository, tmp_path, monkeypatch):
    """Oracle: None in no repository, in another project's, in one without a commit, without git."""
    folder, _ = repository
    (folder / "site-packages").mkdir()
    (tmp_path / "plain").mkdir()
    (tmp_path / "new").mkdir()
    git(tmp_path / "new", "init", "-q")
    for place in (folder / "site-packages", tmp_path / "plain", tmp_path / "new", tmp_path / "no"):
        monkeypatch.setattr(provenance, "CHECKOUT", place)
        assert provenance.commit() is None
    monkeypatch.setattr(provenance, "CHECKOUT", folder)
    monkeypatch.setenv("PATH", "")
    assert provenance.commit() is None


def test_nothing_after_the_last_step_can_lose_a_run(small, tmp_path, monkeypatch):
    """Oracle: the provenance before the first step, where asking again would raise."""
    e = Experiment(**SMALL | {"steps": 8, "drift": (), "lemma": 0, "evaluations": 1})
    run = trainer.Trainer(e, datasets.load(e.data), tmp_path / "state.pt")
    before = dict(run.provenance)

    def refuse(*_):
        raise FileNotFoundError("git")

    monkeypatch.setattr(trainer, "provenance", refuse)
    run.train()
    assert run.result("id").provenance.items() >= before.items()
