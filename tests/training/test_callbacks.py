"""Tests of the protocol of callbacks: what they are called with, and that they resume."""

import numpy as np
import pandas as pd
import pytest
import torch

from tests.training.test_run import SMALL, one_thread, same, small
from xbmlib import datasets
from xbmlib.losses import ContrastiveLoss
from xbmlib.sampler import PKSampler
from xbmlib.training.callbacks import Callback
from xbmlib.training.experiment import Experiment
from xbmlib.training.run import run_experiment
from xbmlib.training.store import RunStore
from xbmlib.training.trainer import Trainer

# Fixtures; one_thread is autouse.
__all__ = ["one_thread", "small"]

E = Experiment(**SMALL | {"neighbours": 5, "mined": 2, "init": "sample"})


def trained(folder, e=E, callbacks=(), checkpoint_steps=500):
    """A trainer after its last step."""
    data = datasets.load(e.data, e.split)
    trainer = Trainer(e, data, folder / "state.pt", callbacks=callbacks)
    trainer.train(checkpoint_steps)
    return trainer


class Recorder(Callback):
    """Notes every call, and spoils what it is given."""

    def __init__(self):
        self.calls = []

    def on_start(self, trainer):
        self.calls.append(("start", trainer.step))

    def on_step(self, trainer, step):
        self.calls.append(("step", step.index, trainer.step))
        step.parts.clear()

    def on_log(self, trainer, table, row):
        self.calls.append(("log", table, dict(row)))
        row.clear()

    def on_evaluation(self, trainer, row):
        self.calls.append(("evaluation", dict(row)))
        row.clear()

    def on_end(self, trainer):
        self.calls.append(("end", trainer.step))


def test_every_call(small, tmp_path):
    """Oracle: the run's own frames, the steps counted by hand, and the run without a callback."""
    recorder = Recorder()
    run = run_experiment(E, RunStore(tmp_path / "runs"), callbacks=[recorder])
    same(run, run_experiment(E, RunStore(tmp_path / "plain")))
    calls = recorder.calls
    assert calls[0] == ("start", 0) and calls[-1] == ("end", 24)
    assert [c[1:] for c in calls if c[0] == "step"] == [(t, t + 1) for t in range(24)]
    assert [c[1] for c in calls if c[0] == "evaluation"] == run.history
    logged = {
        table: [c[2] for c in calls if c[:2] == ("log", table)]
        for table in ("step", "drift", "evaluation")
    }
    assert logged["evaluation"] == run.history
    drifts = pd.DataFrame(logged["drift"])
    pd.testing.assert_frame_equal(drifts, run.drift, check_exact=True)
    pd.testing.assert_frame_equal(pd.DataFrame(logged["step"]), run.metrics, check_exact=True)
    assert len(calls) == 2 + 24 + 2 * len(run.history) + len(run.drift) + len(run.metrics)
    # A run that is loaded is not trained, and calls nothing.
    run_experiment(E, RunStore(tmp_path / "runs"), callbacks=[recorder])
    assert calls[-1] == ("end", 24)


def test_what_a_step_holds(small, tmp_path):
    """Oracle: the sampler's rows, the memory's own entries, and the loss called once more."""
    train, e = datasets.load("hanzi").train, E.replace(loss="contrastive", memory_weight=0.5)
    batches = list(PKSampler(train.labels, 4, 2, steps=24))
    seen = []

    class Check(Callback):
        def on_step(self, trainer, step):
            v, y = step.embeddings, step.labels
            assert step.ids.tolist() == batches[step.index]
            assert torch.equal(y, train.labels[step.ids])
            assert not v.requires_grad and not step.total.requires_grad
            torch.testing.assert_close(v.norm(dim=1), torch.ones(8))
            loss = ContrastiveLoss(e.lam)
            total = wanted = loss(v, y)
            assert torch.equal(step.parts["batch"].value, wanted)
            assert torch.equal(step.parts["batch"].valid.negatives, loss.valid.negatives)
            if step.index < e.start:
                assert step.own is None and "memory" not in step.parts
            else:
                memory = trainer.memory
                assert torch.equal(memory.embeddings[step.own], v)
                assert torch.equal(memory.ids[step.own], step.ids)
                # The memory as the step used it: nothing enters it before the next one.
                wanted = loss(v, y, memory.embeddings, memory.labels, own=step.own)
                torch.testing.assert_close(step.parts["memory"].value, wanted)
                total = total + 0.5 * wanted
            torch.testing.assert_close(step.total, total)
            seen.append(step.lr)

    run = trained(tmp_path, e, [Check()])
    assert seen == [row["lr"] for row in run.rows["step"]] and len(seen) == 24


class Smoothed(Callback):
    """A running mean of the loss, with a state and a table of its own."""

    def __init__(self, rate=0.5):
        self.rate, self.mean = rate, torch.zeros(())

    def on_step(self, trainer, step):
        self.mean = torch.lerp(self.mean, step.total, self.rate)
        trainer.log("smoothed", {"mean": self.mean.item()})

    def state_dict(self):
        return {"mean": self.mean, "history": [{"rate": self.rate}]}

    def load_state_dict(self, state):
        self.mean = state["mean"]


class KilledAt(Callback):
    """Stops at a step, in the midst of it: after some callbacks and before others."""

    def __init__(self, step):
        self.step = step

    def on_step(self, trainer, step):
        if trainer.step == self.step:
            raise KeyboardInterrupt


def test_killed_at_every_step(small, tmp_path):
    """Oracle: the undisturbed run: every row, table and state, to the last bit."""
    whole = trained(tmp_path / "whole", callbacks=[Smoothed()])
    wanted = whole.result("x")
    assert len(wanted.mined) and len(wanted.neighbours) and len(wanted.drift)
    # By hand: a running mean of the logged losses.
    mean = 0.0
    for row, logged in zip(whole.rows["smoothed"], whole.rows["step"], strict=True):
        mean += 0.5 * (logged["batch_loss"] + logged.get("memory_loss", 0.0) - mean)
        assert row == {"step": logged["step"] + 1, "mean": pytest.approx(mean, rel=1e-5)}
    folder = tmp_path / "cut"
    for step in range(1, 25):
        with pytest.raises(KeyboardInterrupt):
            trained(folder, callbacks=[KilledAt(step), Smoothed()], checkpoint_steps=3)
    cut = trained(folder, callbacks=[KilledAt(0), Smoothed()], checkpoint_steps=3)
    found = cut.result("x")
    same(found, wanted)
    assert cut.rows == whole.rows
    for name in ("mined", "neighbours"):
        frames = getattr(found, name), getattr(wanted, name)
        pd.testing.assert_frame_equal(*frames, check_exact=True)


def test_states_go_to_their_own_callback(small, tmp_path):
    """Oracle: by hand. Two of a class keep their states; a new one starts anew, a lost one goes."""
    cut = [Smoothed(0.5), KilledAt(9), Smoothed(1.0)]
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, callbacks=cut, checkpoint_steps=8)
    data = datasets.load(E.data, E.split)
    first, new, second = Smoothed(0.5), Recorder(), Smoothed(1.0)
    run = Trainer(E, data, tmp_path / "state.pt", callbacks=[new, first, second])
    last = run.rows["smoothed"][-2:]
    assert run.step == 8 and [row["step"] for row in last] == [8, 8]
    assert [first.mean.item(), second.mean.item()] == [row["mean"] for row in last]
    assert first.mean != second.mean and new.calls == []
    assert Trainer(E, data, tmp_path / "state.pt").step == 8


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.float64(0.5), r"callbacks\['Stateful'\]\['best'\], a numpy\.float64: give tensors"),
        ([{"x": {1, 2}}], r"callbacks\['Stateful'\]\['best'\]\[0\]\['x'\], a builtins\.set"),
    ],
)
def test_a_state_that_could_not_be_read_again(small, tmp_path, value, message):
    """Oracle: the error names the value's place, its type and the remedy; no file is left."""

    class Stateful(Callback):
        def state_dict(self):
            return {"best": value}

    with pytest.raises(TypeError, match=message):
        trained(tmp_path, callbacks=[Stateful()], checkpoint_steps=3)
    assert not (tmp_path / "state.pt").exists()
