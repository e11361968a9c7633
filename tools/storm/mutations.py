"""Mutated list files and parameters: taken for what they state, or refused by name."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from tests.datasets.trees import TREES
from tools.storm.lists import LISTS, listed, stated
from tools.storm.trials import Trials
from xbmlib.datasets import DatasetError, cars
from xbmlib.datasets.published import DISK
from xbmlib.study.figures import benchmarks, scaling
from xbmlib.study.notebook import ParameterError
from xbmlib.study.plan import STUDIES
from xbmlib.training.experiment import ConfigError, Experiment

# What a list file may come to hold: other separators, digits, paths and bytes.
SCRAPS = (b"", b" ", b"\t", b"\n", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf", b"/", b"../", b"\\",
          b"0", b"-1", b"9" * 20, "٣".encode(), "\u2028".encode(), b"1.0", b"id_00000001", b"#",
          b"train", b"query")  # fmt: skip
SECONDS = 10  # that a small cars_annos.mat is given, in place of a minute


def mutated(content: bytes, chance: Random) -> bytes:
    """A file with one to three faults: bytes, lines or its end."""
    for _ in range(chance.randint(1, 3)):
        at, rows = chance.randrange(len(content) + 1), content.splitlines(keepends=True)
        kind = chance.randrange(6)
        if kind == 0:
            content = content[:at] + chance.choice(SCRAPS) + content[at:]
        elif kind == 1:
            content = content[:at] + chance.choice(SCRAPS) + content[at + chance.randint(1, 4) :]
        elif kind == 2 and content:
            flipped = bytearray(content)
            flipped[at % len(content)] ^= 1 << chance.randrange(8)
            content = bytes(flipped)
        elif kind == 3:
            content = content[:at]
        elif kind == 4 and rows:
            rows.insert(chance.randrange(len(rows)), chance.choice(rows))
            content = b"".join(rows)
        else:
            chance.shuffle(rows)
            content = b"".join(rows[: chance.randint(1, max(1, len(rows)))])
    return content


def lists(name: str, place: Path, chance: Random, count: int) -> Trials:
    """Read a data set whose list files are mutated, so often.

    A listing that is taken has to be what :func:`tools.storm.lists.stated` finds in the same files.
    """
    TREES[name](place)
    folder, trials, taken = place / DISK[name].folders[0], Trials(), 0
    whole = {file: (folder / file).read_bytes() for file in LISTS[name]}
    for number in range(count):
        which = chance.choice(LISTS[name])
        (folder / which).write_bytes(mutated(whole[which], chance))
        fault = ""
        try:
            found = listed(DISK[name].listing(folder))
        except DatasetError as error:
            if str(folder) not in str(error) or "\n" in str(error):
                fault = f"{which}, mutation {number}: {error}"
        except Exception as error:
            fault = f"{which}, mutation {number}: {error!r}"
        else:
            taken += 1
            if found != stated(name, [(folder / file).read_text("utf-8-sig") for file in whole]):
                fault = f"{which}, mutation {number}: taken for something else"
        trials.add(fault)
        (folder / which).write_bytes(whole[which])
    trials.reach = f"{taken:,} still lists, taken for what they state, the others refused"
    return trials


def annotations(place: Path, chance: Random, count: int) -> Trials:
    """Read mutations of cars_annos.mat, by the process that reads it alone."""
    TREES["cars"](place)
    whole = (place / DISK["cars"].folders[0] / "cars_annos.mat").read_bytes()
    cars.SECONDS = SECONDS
    trials, taken, crashed = Trials(), 0, 0

    def read(number: int, content: bytes) -> str:
        file = place / f"{number}.mat"
        file.write_bytes(content)
        try:
            cars.read([file], "car_ims")
        except DatasetError as error:
            if str(file) not in str(error) or "\n" in str(error):
                return str(error)
            return "crashed" if "its reader" in str(error) else ""
        except Exception as error:
            return f"mutation {number}: {error!r}"
        finally:
            file.unlink()
        return "taken"

    contents = []
    for _ in range(count):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            content[chance.randrange(len(whole))] = chance.randrange(256)
        contents.append(bytes(content))
    with ThreadPoolExecutor(2) as pool:
        for said in pool.map(read, range(count), contents):
            taken += said == "taken"
            crashed += said == "crashed"
            trials.add("" if said in ("taken", "crashed") else said)
    trials.reach = (
        f"{taken:,} still readable, {crashed:,} ended their reader by a signal or its time limit"
    )
    return trials


VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 64, 10**12, 1 << 64, 10**400, 0.0, 0.5, 1e-320, 1e300, -0.5,
    math.nan, math.inf, -math.inf, "", "0.5", "smoke", "paper", "none", "a" * 5000, "a\0b", "../..",
    b"x", [], [1], {}, {"a": 1}, (), (1, 2), (0,), (10**6,), 1j,
)  # fmt: skip
NAMES = ("_secret", "class", "__builtins__", "study", "plots", "notebook", "In", "Out", "open", "",
         "a b", "seed ", "Seeds", "profil", "λ", "self", "cls", "n" * 5000)  # fmt: skip


def parameters(place: Path, chance: Random, count: int) -> Trials:
    """Give mutated parameters to every notebook, and hyper-parameters to Experiment.

    What is taken has to come out with the values that were given, of equal type.
    """
    classes = [study.parameters for study in STUDIES.values()]
    classes += [benchmarks.Parameters, scaling.Parameters]
    makers = {cls.notebook: (cls.of, cls.model_fields) for cls in classes}
    makers["an experiment"] = (lambda values: Experiment(**values), Experiment.model_fields)
    trials, taken = Trials(), 0
    for number in range(count):
        name = chance.choice(sorted(makers))
        make, fields = makers[name]
        known = sorted(fields)
        names = [chance.choice(NAMES if chance.random() < 0.2 else known) for _ in range(3)]
        given = {n: chance.choice(VALUES) for n in names[: chance.randint(1, 3)]}
        fault = ""
        try:
            made = make(given)
        except (ParameterError, ConfigError) as error:
            lines = str(error).splitlines()
            if not all(len(line) < 2000 for line in lines):
                fault = f"a line of {max(map(len, lines)):,} characters"
        except Exception as error:
            fault = repr(error)[:200]
        else:
            taken += 1
            wrong = [n for n, v in given.items() if not _kept(v, getattr(made, n, partial))]
            fault = f"{wrong[0]} was not taken" if wrong else ""
        trials.add(fault and f"{name}, set {number}, {str(given)[:200]}: {fault}")
    trials.reach = f"{taken:,} sets are valid, the others refused"
    return trials


def _kept(given: Any, found: Any) -> bool:
    """Whether a value came out as it was given; of numbers, an integer may become a float."""
    same = type(given) is type(found) or (type(given) is int and type(found) is float)
    return same and given == found
