"""Tests of the sweep: the plan, and Snakemake as its users start it, killed and started again."""

import ast
import importlib
import json
import os
import re
import signal
import time
from pathlib import Path

import nbformat
import pytest
import torch
import yaml

from tools.storm.sweep import NOTEBOOK, snakemake
from tools.storm.trials import contents
from xbmlib.study import sweep
from xbmlib.study.notebook import StudyParameters
from xbmlib.study.plan import STUDIES, experiments, plan
from xbmlib.study.profiles import PROFILES
from xbmlib.training.checkpoint import write_state
from xbmlib.training.experiment import ConfigError, Experiment
from xbmlib.training.run import identify
from xbmlib.training.store import RunStore

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


def of_notebook(path):
    """The module that a notebook calls `study`, and its class of parameters."""
    code = [c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
    tree = ast.parse("\n".join(code))
    (module,) = [
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == "study"
    ]
    used = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    return module, next(name for name in used if name.endswith("Parameters")), "frame" in used


def test_every_notebook_of_runs_has_its_study():
    """Oracle: what each notebook's own code imports and takes its parameters by."""
    written = {}
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        module, parameters, has_frame = of_notebook(path)
        # What takes seconds is trained in the notebook itself, and not stored.
        stored = issubclass(getattr(importlib.import_module(module), parameters), StudyParameters)
        if has_frame and stored:
            written[path.stem] = (module, parameters)
    assert written == {
        name: (study.parameters.__module__, study.parameters.__name__)
        for name, study in STUDIES.items()
    }


class Requested(Exception):
    """Carries the experiments that a frame passes to run_all."""


@pytest.mark.parametrize("profile", list(PROFILES))
@pytest.mark.parametrize("name", list(STUDIES))
def test_plan_is_what_the_notebook_asks_for(name, profile, monkeypatch, tmp_path):
    """Oracle: the experiments that reach run_all when the notebook's frame is called."""
    monkeypatch.setenv("XBM_DATA", str(tmp_path))

    def spy(experiments, *_):
        raise Requested(list(experiments))

    parameters = STUDIES[name].parameters
    module = importlib.import_module(parameters.__module__)
    # The recall tables are frames of the losses' study.
    where = module if hasattr(module, "run_all") else module.losses
    monkeypatch.setattr(where, "run_all", spy)
    with pytest.raises(Requested) as requested:
        module.frame(parameters(profile=profile))
    assert experiments(name, profile) == requested.value.args[0]


def test_plan_names_each_run_once():
    """Oracle: identify, one at a time; and Experiment from the plan's JSON."""
    names = ["losses_with_memory", "recall_sop"]
    planned = json.loads(json.dumps(plan("smoke", names)))
    assert planned["profile"] == "smoke"
    assert list(planned["notebooks"]) == names
    for name in names:
        ids = [identify(e) for e in experiments(name, "smoke")]
        assert planned["notebooks"][name] == ids
    first, second = (set(ids) for ids in planned["notebooks"].values())
    # Both arms of the contrastive loss on SOP's counterpart are of Table 1 and of Table 3.
    assert len(second) == 2 and second < first
    assert set(planned["runs"]) == first | second
    for id, values in planned["runs"].items():
        assert identify(Experiment.from_dict(values)) == id


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--proflie=smoke", "unrecognized arguments: --proflie=smoke"),
        ("--profile=huge", "invalid choice: 'huge'"),
        ("--notebooks=cost,costs", "no notebook costs; known: drift_curves, "),
        ("--checkpoint_steps=0", "'0': give an integer of at least 1"),
    ],
)
def test_bad_config_is_refused(option, message, tmp_path, capsys):
    """Oracle: a non-zero exit and a message that names the value; nothing is written."""
    with pytest.raises(SystemExit) as stop:
        sweep.main(["plan", str(tmp_path / "plan.json"), option])
    assert stop.value.code
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_run_that_was_planned_otherwise_is_refused():
    """Oracle: an id that is not the experiment's; nothing is trained."""
    planned = {"runs": {"0" * 16: Experiment(steps=2).model_dump()}, "checkpoint_steps": 1}
    with pytest.raises(ConfigError, match=f"run {'0' * 16} of the plan would be "):
        sweep.train_planned(planned, "0" * 16)


def kill_in_training(root):
    """Kill a sweep with its processes once a run has a checkpoint; return its folders."""
    process = snakemake(root)
    while not (found := list((root / "results" / "runs").glob("*/checkpoint.pt"))):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return [path.parent for path in found if path.is_file()]


def test_killed_it_goes_on_to_the_same_bits(smoke, tmp_path):
    """Oracle: the study, which run_all trains; and the seconds counted in a checkpoint."""
    root, undisturbed = tmp_path / "swept", RunStore(smoke[0] / "results" / "runs")
    cut = kill_in_training(root)
    assert cut
    assert not any((folder / "recall.json").exists() for folder in cut)
    # A run that goes on from its checkpoint counts on from the seconds there.
    for folder in cut:
        state = torch.load(folder / "checkpoint.pt", weights_only=True)
        assert 0 < state["step"] < 7
        write_state(state | {"seconds": 1e6}, folder / "checkpoint.pt")
        # What a process leaves that is killed while it writes.
        (folder / ".checkpoint.pt.1.tmp").write_bytes(b"half")

    process = snakemake(root)
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    assert re.search(
        rf"^{NOTEBOOK}\n  \[[a-z ]+\] R@1 with the contrastive loss rises", printed, re.MULTILINE
    )
    assert (root / "figures" / "smoke" / f"{NOTEBOOK}.svg").is_file()
    assert (root / "results" / "notebooks" / "smoke" / f"{NOTEBOOK}.ipynb").is_file()

    swept = RunStore(root / "results" / "runs")
    wanted = [undisturbed.load(id) for id in map(identify, experiments(NOTEBOOK, "smoke"))]
    # The notebook found all of its runs done, and trained no other.
    assert sorted(path.name for path in swept.folder.iterdir()) == sorted(r.id for r in wanted)
    for run in wanted:
        assert contents(swept.path(run.id)) == contents(undisturbed.path(run.id))
        resumed = swept.path(run.id) in cut
        assert (swept.load(run.id).provenance["seconds"] >= 1e6) == resumed

    # On a cluster: what is missing, each with what SLURM is to give it, and nothing is done.
    first, second = (run.id for run in wanted)
    (swept.path(first) / "recall.json").unlink()
    profile = ROOT / "workflow" / "profiles" / "slurm"
    process = snakemake(root, "-n", "--workflow-profile", str(profile))
    listed, _ = process.communicate()
    assert process.returncode == 0, listed
    assert re.findall(r"output: results/runs/(\w+)/recall.json", listed) == [first]
    assert re.findall(r"output: results/notebooks/smoke/(\w+).ipynb", listed) == [NOTEBOOK]
    limits = yaml.safe_load((profile / "config.yaml").read_text())["default-resources"]
    requested = re.search(rf"{first}/recall.json.*?resources: ([^\n]*)", listed, re.DOTALL)[1]
    assert {f"{name}={value}" for name, value in limits.items()} <= set(requested.split(", "))
    assert not swept.done(first) and swept.done(second)
