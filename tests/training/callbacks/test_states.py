"""Tests of the callbacks' states: what they may hold, whose they are, and what a refusal leaves."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.test_callbacks import E, KilledAt, Smoothed, trained
from tests.training.test_run import one_thread, small
from xbmlib import datasets
from xbmlib.training.callbacks import Callback
from xbmlib.training.experiment import ConfigError
from xbmlib.training.trainer import Trainer

# Fixtures; one_thread is autouse.
__all__ = ["one_thread", "small"]


def resumed(folder, callbacks):
    """A trainer at the state in the folder's checkpoint."""
    return Trainer(E, datasets.load(E.data, E.split), folder / "state.pt", callbacks=callbacks)


class Net(Callback):
    """Keeps the state of a module as torch gives it, and a parameter."""

    def __init__(self, seed):
        torch.manual_seed(seed)
        self.net, self.scale = nn.Linear(2, 2), nn.Parameter(torch.rand(1))

    def state_dict(self):
        return {"net": self.net.state_dict(), "scale": self.scale}

    def load_state_dict(self, state):
        self.net.load_state_dict(state["net"])
        self.scale = state["scale"]


def test_a_module_and_a_parameter(small, tmp_path):
    """Oracle: the values of the callback that was saved."""
    first, second = Net(1), Net(2)
    assert isinstance(first.state_dict()["net"], OrderedDict)
    resumed(tmp_path, [first]).save()
    resumed(tmp_path, [second])
    assert torch.equal(second.net.weight, first.net.weight) and second.scale == first.scale


@pytest.mark.parametrize(
    ("value", "kind"),
    [(np.float64(1), "numpy.float64"), ({1}, "builtins.set"), (nn.Linear(1, 1), "Linear"),
     (object(), "builtins.object")],
)  # fmt: skip
def test_refused_before_the_first_step(small, tmp_path, value, kind):
    """Oracle: the number of updates: none; the message has the place and the type."""

    class Odd(KilledAt):
        def state_dict(self):
            return {"value": [value]}

    with pytest.raises(TypeError, match=rf"callbacks\['Odd'\]\['value'\]\[0\], a .*{kind}"):
        trained(tmp_path, callbacks=[Odd(1)])


class Halves(Callback):
    """Takes the first half of a state, in place and by name, before it refuses the second."""

    def __init__(self, number):
        self.number, self.rows = number, [number]

    def state_dict(self):
        return {"number": self.number, "rows": list(self.rows)}

    def load_state_dict(self, state):
        self.rows[:] = state["rows"]
        self.number = state["number"]
        self.extra = True
        if self.number < 0:
            raise ValueError("negative")


def test_what_fails_half_way_is_undone(small, tmp_path):
    """Oracle: the attributes before, of the callback that fails and of the one before it."""
    resumed(tmp_path, [Smoothed(), Halves(-1)]).save()
    before, halves = Smoothed(), Halves(5)
    before.mean = torch.tensor(7.0)
    with pytest.raises(ConfigError, match=r"Halves is refused \(negative\)"):
        resumed(tmp_path, [before, halves])
    assert vars(halves) == {"number": 5, "rows": [5]} and before.mean == 7


def test_fewer_of_a_class_are_refused(small, tmp_path):
    """Oracle: by hand: with one of two left out, the other would take the first's state."""
    resumed(tmp_path, [Halves(1), Halves(2)]).save()
    left = Halves(3)
    with pytest.raises(ConfigError, match="a state of Halves 2, and fewer callbacks of the class"):
        resumed(tmp_path, [left])
    assert left.number == 3


def test_a_callback_left_out_for_one_resume_keeps_its_state(small, tmp_path):
    """Oracle: the state that it was saved with; the line names file and class."""
    resumed(tmp_path, [Halves(1)]).save()
    with pytest.warns(UserWarning, match=r"state\.pt holds the state of the callback Halves"):
        without = resumed(tmp_path, [])
    without.save()
    back = Halves(9)
    resumed(tmp_path, [back])
    assert back.number == 1
