"""Tests of the study at the paper's scale, on small trees of the published formats, on a CPU."""

import re
from dataclasses import replace

import pytest
import torch

from tests.datasets.trees import inshop_tree, vehicleid_tree
from xbmlib import backbones, paper
from xbmlib.plots import recall_tables as plot
from xbmlib.plots import style
from xbmlib.study import preflight
from xbmlib.study.figures import losses_with_memory, recall_tables
from xbmlib.study.notebook import ParameterError
from xbmlib.study.parallel import run_all
from xbmlib.study.plan import STUDIES
from xbmlib.study.profiles import PROFILES, experiment
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

NETS = {"googlenet": 512, "bninception": 512, "resnet50": 128}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The folder of random weights, one file for each net."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    for net in NETS:
        torch.save(backbones.build(net, 8).trunk.state_dict(), folder / f"{net}.pth")
    return folder


@pytest.fixture
def root(weights, tmp_path, monkeypatch):
    """A folder of small data sets and of weights; a batch and a schedule small enough for a CPU."""
    monkeypatch.setenv("XBM_DATA", str(tmp_path))
    inshop_tree(tmp_path, classes=8)
    vehicleid_tree(tmp_path)
    (tmp_path / "weights").mkdir()
    for file in weights.iterdir():
        (tmp_path / "weights" / file.name).symlink_to(file)
    few = {"start": 1, "steps": 2, "schedule": "constant", "evaluations": 1}
    small = replace(
        paper.SETTINGS["paper"], unstated=paper.SETTINGS["paper"].unstated | few | {"k": 2}
    )
    small = replace(small, stated=small.stated | {"start": 1})
    monkeypatch.setitem(paper.SETTINGS, "paper", small)
    monkeypatch.setitem(PROFILES, "paper", replace(PROFILES["paper"], updates=2))
    monkeypatch.setattr(losses_with_memory, "BATCH", 4)
    return tmp_path


def test_a_table_of_the_paper_on_its_format(root, capsys):
    """Oracle: the paper's own rows; the tree's query and gallery; what is printed beforehand."""
    parameters = recall_tables.InShopParameters.of(
        {"profile": "paper", "data_root": str(root), "seeds": 1}
    )
    store = RunStore(root / "runs")
    data = recall_tables.frame(parameters, store)
    assert set(data["net"]) == {f"{net}-{dim}" for net, dim in NETS.items()}
    assert {"R@1", "R@10", "R@50"} <= set(data["measure"]) and data["value"].between(0, 100).all()
    printed = capsys.readouterr().out
    assert "6 runs, 48 training images: about" in printed and "no GPU" in printed
    for id in store.ids():
        e = store.load(id).experiment
        assert (e.view, e.batch, e.k, e.steps) == ("paper", 4, 2, 2)
        assert e.dim == NETS[e.backbone] and (e.init, e.batch_loss) == ("sample", False)
    table = recall_tables.table(data, parameters)
    ours = table[table["source"] == "ours"]
    assert len(ours) == 6 and not table["source"].str.contains("rendered").any()
    (gain,) = recall_tables.verdicts(data, parameters)
    assert "In-shop, batch 4" in gain.data
    # One seed decides nothing.
    assert gain.outcome == "undecided" and gain.seeds == 1
    with style():
        ax = plot.recall_table(recall_tables.tidy(data, parameters))
    assert "ours, In-shop\nbninception-512 network" in [t.get_text() for t in ax.get_yticklabels()]
    wanted = r"ours, memory \(\$R_M\$ = \S+\)"
    assert any(re.fullmatch(wanted, str(c.get_label())) for c in ax.containers)


def test_a_net_without_weights_is_left_out_which_is_printed(root, capsys):
    """Oracle: the file removed; torchvision has names for the other two."""
    for net in NETS:
        (root / "weights" / f"{net}.pth").unlink()
    parameters = recall_tables.InShopParameters.of({"profile": "paper", "data_root": str(root)})
    assert recall_tables.nets(parameters) == [("googlenet", 512), ("resnet50", 128)]
    assert "left out: bninception" in capsys.readouterr().out


def test_lists_of_vehicleid_are_measured_by_both_protocols(root):
    """Oracle: the names that evaluation gives; Table 5's measures are among them."""
    e = experiment(PROFILES["paper"], 4, seed=0, ratio=None, data="vehicleid")
    e = e.replace(backbone="compact", weights=None, dim=16)
    recall = run_all([e], RunStore(root / "runs"))[0].recall
    assert set(paper.SETS["VehicleID"]) <= recall.keys()
    assert "small, one per class R@1" in recall


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"profile": "paper"}, "data_root=None: profile='paper' runs on SOP, In-shop, VehicleID"),
        ({"profile": "released", "data_root": "/none"}, "data_root='/none': no such folder"),
    ],
)
def test_the_data_have_to_be_there(given, message, monkeypatch):
    """Oracle: the message names the value and the remedy."""
    monkeypatch.delenv("XBM_DATA", raising=False)
    with pytest.raises(ParameterError, match="data_root") as error:
        recall_tables.SopParameters.of(given)
    assert message in str(error.value)


def test_runs_that_do_not_fit_on_the_disk_are_refused(root, monkeypatch, tmp_path):
    """Oracle: a disk with one free byte."""
    usage = type("Usage", (), {"free": 1, "total": 1})
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: usage)
    e = experiment(PROFILES["paper"], 4, seed=0, ratio=None, data="inshop")
    with pytest.raises(preflight.PreflightError, match="make room, or put the results elsewhere"):
        preflight.check([e.replace(backbone="compact", weights=None)], tmp_path / "runs")


def test_a_probe_predicts_the_size_of_a_checkpoint(root):
    """Oracle: a checkpoint of the same run, measured on the disk."""
    e = experiment(PROFILES["paper"], 4, seed=0, ratio=1.0, data="inshop")
    e = e.replace(backbone="compact", weights=None, dim=16)
    found = preflight.probe(e)
    from xbmlib import datasets
    from xbmlib.training.trainer import Trainer

    trainer = Trainer(e, datasets.load("inshop", "test", "paper"), root / "checkpoint.pt")
    trainer.update(*next(trainer.batches()))
    trainer.save()
    assert found.checkpoint == pytest.approx((root / "checkpoint.pt").stat().st_size, rel=0.1)
    assert found.seconds > 0


def test_rendered_images_need_no_preflight(capsys, tmp_path):
    """Oracle: nothing is printed, and no folder is created."""
    preflight.check([Experiment()], tmp_path / "runs")
    assert capsys.readouterr().out == "" and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("profile", ["paper", "released"])
def test_every_notebook_has_experiments_at_this_scale(profile, tmp_path, monkeypatch):
    """Oracle: the paper's data sets, nets, batch sizes and iterations; the released code's."""
    monkeypatch.setenv("XBM_DATA", str(tmp_path))
    for name, study in STUDIES.items():
        found = study.experiments(study.parameters(profile=profile))
        assert found, name
        for e in found:
            assert e.data in ("sop", "inshop", "vehicleid") and e.view == profile
            assert e.steps == 35_000 and e.k == 4
            assert e.weight_decay == 5e-4 and e.lr in (1e-4, 8e-4)
            if name == "drift_curves":
                assert (e.weights, e.ratio, e.drift) == (None, 0, (10, 100, 1000))
            elif not name.startswith("recall_"):
                assert e.dim == {"paper": 512, "released": 128}[profile]
                assert e.schedule == "plateau" and (e.weights or name == "from_scratch")
    losses = {e.loss for e in STUDIES["losses_with_memory"].experiments(
        STUDIES["losses_with_memory"].parameters(profile=profile))}  # fmt: skip
    assert losses == {"contrastive", "triplet", "multi_similarity"}
