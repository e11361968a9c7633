"""The kinds of fault, and how many trials of each a whole storm makes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

from tools.storm.full import full
from tools.storm.kills import killed
from tools.storm.lists import LISTS
from tools.storm.mutations import annotations, lists, parameters
from tools.storm.places import PLACES, odd
from tools.storm.ranks import one_of_two
from tools.storm.rivals import rivals
from tools.storm.soak import STEPS, soak
from tools.storm.sweep import swept
from tools.storm.trials import Trials


class Kind(NamedTuple):
    """A kind of fault.

    Attributes:
        trials: takes an empty folder, the source of all that is random, and the number of trials.
        count: trials of a whole storm; for the soak, steps.
        least: trials however small the share.
    """

    trials: Callable[[Path, Random, int], Trials]
    count: int
    least: int = 1


KINDS = {
    "SIGKILL in training": Kind(partial(killed, "training"), 12),
    "SIGKILL in evaluation": Kind(partial(killed, "evaluation"), 10),
    "SIGKILL while a checkpoint is saved": Kind(partial(killed, "saving"), 12),
    "SIGKILL while images are packed": Kind(partial(killed, "packing"), 8),
    "SIGKILL while a notebook exports": Kind(partial(killed, "export"), 8),
    "SIGKILL of a whole sweep": Kind(swept, 3),
    "four processes want one run": Kind(partial(rivals, kill=False), 4),
    "four want it, its owner is killed": Kind(partial(rivals, kill=True), 4),
    "one rank of two is killed": Kind(one_of_two, 3),
    "the disk fills up": Kind(full, 10),
    **{name: Kind(partial(odd, name), 1) for name in PLACES},
    **{f"mutated lists of {name}": Kind(partial(lists, name), 1000, 20) for name in LISTS},
    "mutated cars_annos.mat": Kind(annotations, 1000, 4),
    "mutated parameters": Kind(parameters, 1000, 40),
    "a soak of many steps": Kind(soak, STEPS, 400),
}
