"""Tests of the trainer, with the experiment's model and loss and with custom ones."""

from functools import partial

import pandas as pd
import pytest
import torch
from pytorch_metric_learning import losses as peers
from pytorch_metric_learning.distances import CosineSimilarity
from torch import nn
from torch.nn import functional as F

from tests.losses.oracle import listed
from tests.training.test_run import SMALL, one_thread, small
from xbmlib import backbones, datasets
from xbmlib.backbones import ModelError
from xbmlib.losses import ContrastiveLoss, MetricLearningLoss, TripletLoss
from xbmlib.sampler import PKSampler
from xbmlib.training.callbacks import Callback
from xbmlib.training.experiment import ConfigError, Experiment
from xbmlib.training.run import run_experiment
from xbmlib.training.schedule import learning_rate
from xbmlib.training.store import RunStore
from xbmlib.training.trainer import Trainer

# Fixtures; one_thread is autouse.
__all__ = ["one_thread", "small"]

E = Experiment(
    batch=8, k=2, steps=12, start=4, ratio=0.05, dim=16, lr=1e-3, crop=1.0, precision="fp32",
    log_every=1, weight_decay=0.0,
)  # fmt: skip


def net(dim=16):
    """Vectors of any length, from a few layers."""
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, 4), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 49, dim)
    )


def trainer(tmp_path, e=E, **given):
    return Trainer(e, datasets.load(e.data, e.split), tmp_path / "state.pt", **given)


PEERS = {
    "circle": partial(peers.CircleLoss, 0.4, 10),
    "contrastive": partial(peers.ContrastiveLoss, 1, 0.5, distance=CosineSimilarity()),
    # Its β is learnt along with the model.
    "margin": partial(peers.MarginLoss, learn_beta=True),
}


@pytest.mark.parametrize("name", PEERS)
def test_equals_a_hand_written_loop(small, tmp_path, name):
    """Oracle: Algorithm 1 with torch and the peer alone, on pairs listed one by one."""
    peer, model = PEERS[name](), net()
    run = trainer(tmp_path, model=net(), loss=MetricLearningLoss(PEERS[name]()))
    run.train()
    data = datasets.load("hanzi").train
    optimiser = torch.optim.Adam([*model.parameters(), *peer.parameters()])
    size = round(0.05 * len(data))
    queue_v, queue_y = torch.empty(0, 16), torch.empty(0, dtype=torch.int64)
    for t, batch in enumerate(PKSampler(data.labels, 4, 2, steps=E.steps)):
        y = data.labels[batch]
        v = F.normalize(model(data.images[batch].float() / 255))
        row, loss = run.rows["step"][t], peer(v, y, listed(y, y, torch.arange(8)))
        assert row["batch_loss"] == pytest.approx(loss.item(), rel=1e-4), t
        if t >= E.start:
            queue_v = torch.cat([queue_v, v.detach()])[-size:]
            queue_y = torch.cat([queue_y, y])[-size:]
            own = torch.arange(len(queue_y) - 8, len(queue_y))
            part = peer(v, y, listed(y, queue_y, own), queue_v, queue_y)
            assert row["memory_loss"] == pytest.approx(part.item(), rel=1e-4), t
            loss = loss + part
        optimiser.param_groups[0]["lr"] = learning_rate(E, t)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    result = run.result("mine")
    assert result.id == "mine" and 0 < result.recall["R@1"] < 1
    assert "memory_negatives" not in result.metrics


def test_first_steps_equal_a_plain_loop(small, tmp_path):
    """Oracle: Algorithm 1 written out with torch alone, in float32 without cropping."""
    e = Experiment(
        **SMALL
        | {"precision": "fp32", "crop": 1.0, "steps": 10, "start": 2, "lam": 0.3}
        | {"drift": (), "lemma": 0}
    )
    run = run_experiment(e, RunStore(tmp_path))
    data = datasets.load("hanzi").train
    torch.manual_seed(0)
    model = backbones.build("compact", 16, "scripts").to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(model.parameters(), e.lr, weight_decay=5e-4)
    size = round(0.05 * len(data))
    queue_v, queue_y = torch.empty(0, 16), torch.empty(0, dtype=torch.int64)

    def contrastive(v, y, refs, ref_y, skip):
        total = 0
        for i in range(len(v)):
            for j in range(len(refs)):
                if j != skip[i]:
                    s = v[i] @ refs[j]
                    if y[i] == ref_y[j]:
                        total = total + 1 - s
                    elif s > 0.3:
                        total = total + s
        return total / len(v)

    for t, batch in enumerate(PKSampler(data.labels, 4, 2, steps=10)):
        v, y = model(data.images[batch].float() / 255), data.labels[batch]
        loss = contrastive(v, y, v, y, range(8))
        if t >= 2:
            queue_v = torch.cat([queue_v, v.detach()])[-size:]
            queue_y = torch.cat([queue_y, y])[-size:]
            places = range(len(queue_y) - 8, len(queue_y))
            loss = loss + contrastive(v, y, queue_v, queue_y, places)
        row = run.metrics.iloc[t]
        ours = row["batch_loss"] + (row["memory_loss"] if t >= 2 else 0)
        assert ours == pytest.approx(float(loss.detach()), rel=2e-4), t
        optimiser.param_groups[0]["lr"] = learning_rate(e, t)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@pytest.mark.parametrize(
    "loss",
    [ContrastiveLoss(0.5), MetricLearningLoss(peers.CircleLoss(0.4, 10))],
    ids=["ours", "circle"],
)
def test_learns(small, tmp_path, loss):
    """Oracle: R@1 on the classes trained on, by hand: higher than before; and the loss falls."""
    data = datasets.load("hanzi").train

    def recall(model):
        with torch.no_grad():
            s = F.normalize(model.eval()(data.images.float() / 255))
        s = (s @ s.T).fill_diagonal_(-1)
        return float((data.labels[s.argmax(1)] == data.labels).float().mean())

    before = recall(net())
    model = net()
    run = trainer(tmp_path, E.replace(steps=200, start=20, ratio=0.2), model=model, loss=loss)
    run.train()
    found = pd.DataFrame(run.rows["step"])["batch_loss"]
    assert found[-20:].mean() < 0.7 * found[:20].mean()
    assert recall(model) > before + 0.1


def test_resumes_with_all_state(small, tmp_path):
    """Oracle: the undisturbed run, the loss's own parameter and the memory included."""

    def made(folder, *callbacks):
        folder.mkdir(exist_ok=True)
        loss = MetricLearningLoss(PEERS["margin"]())
        return trainer(folder, model=net(), loss=loss, callbacks=callbacks)

    class Interrupt(Exception):
        pass

    class Until9(Callback):
        def on_step(self, trainer, step):
            if trainer.step == 9:
                raise Interrupt

    whole = made(tmp_path / "whole")
    whole.train()
    cut = made(tmp_path / "cut", Until9())
    with pytest.raises(Interrupt):
        cut.train(checkpoint_steps=4)
    again = made(tmp_path / "cut")
    assert again.step == 8
    again.train()
    assert again.rows == whole.rows and len(whole.rows["step"]) == 12
    assert len(whole.rows["evaluation"]) == 1
    beta = [r.loss.state_dict()["loss.beta"] for r in (whole, again)]
    assert torch.equal(*beta) and beta[0] != peers.MarginLoss(learn_beta=True).beta


def test_a_state_of_another_run_is_refused(small, tmp_path):
    """Oracle: the message names the file; the run that it is of is taken up."""
    run = trainer(tmp_path, model=net())
    run.train(checkpoint_steps=5)
    for other in (
        {"model": nn.Sequential(net())},
        {"model": net(), "loss": TripletLoss()},
        {"model": net(), "e": E.replace(lr=0.5)},
        {},
    ):
        with pytest.raises(ConfigError, match=r"state\.pt is the state of another run: remove"):
            trainer(tmp_path, **other)
    assert trainer(tmp_path, model=net()).step == 10


def test_the_store_does_not_take_it_for_a_named_run(small, tmp_path):
    """Oracle: even under the id of its experiment, it is refused when loaded."""
    run = trainer(tmp_path, model=net(), loss=TripletLoss())
    run.train()
    result = run.result("mine")
    first, *given = result.provenance["fingerprints"]
    assert first == datasets.load("hanzi").fingerprint and len(given) == 2
    assert "Conv2d" in given[0] and "TripletLoss(eta=0.1" in given[1]
    RunStore(tmp_path).save(result)
    with pytest.raises(ConfigError, match="mine"):
        RunStore(tmp_path).load("mine")


class Diverged(nn.Flatten):
    def forward(self, x):
        return super().forward(x) * torch.nan


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (net(32), r"D = 32 and the memory holds dim=16: give dim=32"),
        (nn.Conv2d(1, 16, 3), r"gives \(2, 16, 30, 30\) .*nn\.Flatten"),
        (nn.Conv2d(3, 16, 3), r"fails on images \(2, 1, 32, 32\) of torch\.float32: .*channels"),
        (nn.Flatten(0), r"gives \(2048,\)"),
        (Diverged(), "not finite"),
        (nn.Sequential(net(), nn.Hardtanh(5e8, 6e8), nn.Threshold(1e9, 0.0)), "vector of zeros"),
        (nn.LSTM(32, 16), "fails on images|gives tuple"),
        (torch.flatten, r"builtin_function_or_method: give a torch\.nn\.Module"),
    ],
)
def test_no_model_for_it(small, tmp_path, model, message):
    """Oracle: one message that names what is given and what is wanted."""
    e = E.replace(ratio=0.0) if isinstance(model, Diverged) else E
    with pytest.raises(ModelError, match=message):
        trainer(tmp_path, e, model=model)


def test_no_loss_for_it(small, tmp_path):
    """Oracle: the message names the adapter that is missing."""
    with pytest.raises(ValueError, match="CircleLoss is not called .* MetricLearningLoss"):
        trainer(tmp_path, loss=peers.CircleLoss())


def test_without_a_memory_any_dimension(small, tmp_path):
    """Oracle: the shape; dim is of the memory, and there is none."""
    run = trainer(tmp_path, E.replace(ratio=0.0), model=net(5))
    assert run.embed(run.data.query).shape[1] == 5


def test_trying_it_out_changes_nothing():
    """Oracle: the module's own state before; unit vectors in float32, whatever it gives."""
    model, images = net().bfloat16(), torch.rand(4, 1, 32, 32).bfloat16()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    embedder = backbones.normalised(model, images, 16)
    assert model.training and all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    out = embedder(images)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.norm(dim=1), torch.ones(4))
