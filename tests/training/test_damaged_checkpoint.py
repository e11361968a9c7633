"""Tests of checkpoints that are damaged: refused or set aside, never resumed from."""

import pickle
import random
from pathlib import Path

import pytest
import torch

from tests.training.test_run import SMALL, one_thread, same, small
from xbmlib import datasets
from xbmlib.storage import StorageError
from xbmlib.training import run as run_module
from xbmlib.training.callbacks import Callback
from xbmlib.training.checkpoint import KEYS, read_checkpoint, set_aside, write_state
from xbmlib.training.experiment import ConfigError, Experiment
from xbmlib.training.run import run_experiment
from xbmlib.training.store import RunStore
from xbmlib.training.trainer import Trainer

# Fixtures; one_thread is autouse.
__all__ = ["one_thread", "small"]

CPU = torch.device("cpu")
SHORT = Experiment(**SMALL | {"steps": 8, "drift": (), "lemma": 0, "evaluations": 1})


def read(path):
    return read_checkpoint(path, "mine", CPU)


@pytest.fixture
def path(tmp_path):
    """A checkpoint of a few tensors."""
    state = dict.fromkeys(KEYS, 0) | {"id": "mine", "model": {"a": torch.arange(9.0)}}
    write_state(state, tmp_path / "checkpoint.pt")
    return tmp_path / "checkpoint.pt"


def test_a_flipped_bit_is_never_resumed_from(path):
    """Oracle: one flipped bit in every third byte, digest included, is refused in one line."""
    whole, chance = path.read_bytes(), random.Random(0)
    assert torch.equal(read(path)["model"]["a"], torch.arange(9.0))
    for place in range(0, len(whole), 3):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        with pytest.raises(ConfigError, match=r"checkpoint\.pt.*: remove it") as caught:
            read(path)
        assert "\n" not in str(caught.value)


class Code:
    """Makes a file when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def test_nothing_in_a_checkpoint_is_executed(path, tmp_path):
    """Oracle: the file that the code would make; the digest of the checkpoint is right."""
    trace = tmp_path / "trace"
    pickle.loads(pickle.dumps(Code(trace)))
    assert trace.exists()
    trace.unlink()
    write_state(dict.fromkeys(KEYS, 0) | {"id": "mine", "model": Code(trace)}, path)
    with pytest.raises(ConfigError, match=r"checkpoint\.pt is no checkpoint .*: remove it"):
        read(path)
    assert not trace.exists()


def zeroed(whole):
    return whole[:400] + bytes(300) + whole[700:]


@pytest.mark.parametrize(
    "damage",
    [lambda b: b"", lambda b: b[:-1], lambda b: b[: len(b) // 2], lambda b: b + b"x", zeroed,
     lambda b: bytes(len(b)), lambda b: b[:-72]],
    ids=["empty", "cut by a byte", "cut in half", "longer", "zeroed", "zeros", "no digest"],
)  # fmt: skip
def test_it_is_set_aside_in_one_line(path, capsys, damage):
    """Oracle: the bytes are kept under another name; the line has both names."""
    content = damage(path.read_bytes())
    path.write_bytes(content)
    set_aside(path, "mine")
    assert not path.exists()
    assert path.with_name("checkpoint.pt.damaged").read_bytes() == content
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "checkpoint.pt.damaged, the run starts anew" in line


def test_one_that_is_whole_stays(path, capsys):
    """Oracle: the bytes before; nothing is printed. That of another run is set aside."""
    before = path.read_bytes()
    set_aside(path, "mine")
    set_aside(path.with_name("none.pt"), "mine")
    assert path.read_bytes() == before and not capsys.readouterr().err
    set_aside(path, "another")
    assert not path.exists() and "state of another run: kept as" in capsys.readouterr().err


def test_a_run_with_a_damaged_checkpoint_starts_anew(small, tmp_path, capsys):
    """Oracle: the undisturbed run, bit for bit; no file but the finished run's is left."""
    whole, store = run_experiment(SHORT, RunStore(tmp_path / "whole")), RunStore(tmp_path / "cut")

    class Interrupt(Callback):
        def on_step(self, trainer, step):
            if trainer.step == 6:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_experiment(SHORT, store, checkpoint_steps=4, callbacks=[Interrupt()])
    checkpoint = store.checkpoint(whole.id)
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 16
    checkpoint.write_bytes(content)
    steps = []
    same(run_experiment(SHORT, store, progress=steps.append), whole)
    # The checkpoint's four steps were trained again, not taken from it.
    assert steps[0] == 0 and sum(steps) == SHORT.steps
    assert "is damaged" in capsys.readouterr().err
    names = {p.name for p in store.path(whole.id).iterdir()}
    assert names == {"config.json", "metrics.parquet", "provenance.json", "recall.json"}


def test_a_damaged_finished_run_is_not_trained_over(small, tmp_path, monkeypatch):
    """Oracle: a trainer that must not be made; the damaged file stays as it is."""
    store = RunStore(tmp_path)
    id = run_experiment(SHORT, store).id
    monkeypatch.setattr(run_module, "Trainer", None)
    path = store.path(id) / "recall.json"
    for content in (path.read_text().replace("R@1", "R@9"), ""):
        path.write_text(content)
        with pytest.raises(StorageError, match=r"recall\.json: damaged.*remove the folder"):
            run_experiment(SHORT, store)
        assert path.read_text() == content


def test_a_store_that_cannot_be_written_is_refused_before_training(small, tmp_path, monkeypatch):
    """Oracle: a trainer that must not train; one line with path and remedy."""

    def train(*_):
        raise AssertionError("trained")

    monkeypatch.setattr(Trainer, "train", train)
    monkeypatch.setattr(run_module, "TABLES", 1 << 60)
    with pytest.raises(StorageError, match=r"MB are needed .*XBM_ROOT"):
        run_experiment(SHORT, RunStore(tmp_path / "full"))
    (tmp_path / "file").write_text("")
    with pytest.raises((StorageError, ConfigError), match="file"):
        run_experiment(SHORT, RunStore(tmp_path / "file" / "runs"))


class Memo(Callback):
    """Keeps a number; refuses a negative one."""

    def __init__(self, number):
        self.number = number

    def state_dict(self):
        return {"number": self.number}

    def load_state_dict(self, state):
        if state["number"] < 0:
            raise ValueError("a negative number")
        self.number = state["number"]


def test_a_checkpoint_that_is_refused_changes_no_callback(small, tmp_path):
    """Oracle: the numbers before, though the first of the two callbacks had accepted its state."""
    data, path = datasets.load("hanzi"), tmp_path / "state.pt"
    Trainer(SHORT, data, path, callbacks=[Memo(1), Memo(-2)]).save()
    mine = [Memo(5), Memo(6)]
    with pytest.raises(ConfigError, match=r"state\.pt.*Memo 2 is refused \(a negative number\)"):
        Trainer(SHORT, data, path, callbacks=mine)
    assert [m.number for m in mine] == [5, 6]
