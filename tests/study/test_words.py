"""Tests of the words that close a notebook: each follows from the numbers."""

import importlib

import pandas as pd
import pytest

from tests.study.figures.frames import table_1
from tests.study.test_comparison import FOLDER
from xbmlib.study import words
from xbmlib.study.plan import STUDIES
from xbmlib.study.verdict import Verdict

WORDS = dict.fromkeys(("claim", "paper", "ours", "rule", "data"), "words")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0, 2.0, 1.5], "rises by 1.5 ± 0.5 points"),
        ([-1.0, -2.0, -1.5], "falls by 1.5 ± 0.5 points"),
        ([1.0, -2.0, 0.4], "changes by -0.2 ± 1.6 points (undecided)"),
        ([3.0], "changes by +3.0 points (undecided)"),
        ([], "is not measured here"),
    ],
)
def test_a_change(values, said):
    """Oracle: by hand: t = 5.2 of three is past 2.92, t = -0.2 is not, one seed decides nothing."""
    assert words.change(pd.Series(values, dtype=float)) == said


def test_lists_and_counts():
    """Oracle: by hand."""
    assert words.listed(["a"]) == "a" and words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.beside(None) == "" and words.beside(25.1, "%") == " (paper: 25.1%)"
    assert words.beside_change(None) == "" and words.beside_change(-2) == " (paper: -2 points)"
    assert words.beside_change(25.1) == " (paper: +25.1 points)"
    verdicts = [
        Verdict(**WORDS, outcome=outcome, seeds=1, name=name)
        for outcome, name in (("agrees", ""), ("disagrees", "a"), ("agrees", "b"), ("agrees", "c"))
    ]
    assert words.tally(verdicts) == (
        "Verdicts on the paper's claims: ✓ agrees 2, ✗ disagrees 1. "
        "Verdicts on further questions: ✓ agrees 1."
    )
    assert words.tally([]) == ""


def exchanged(data, column, one, other):
    """The frame with two values of a column exchanged."""
    return data.assign(**{column: data[column].replace({one: other, other: one})})


# Notebook, column and its two values to exchange, and what is said before and after.
CASES = [
    ("ablation_memory_ratio", "ratio", 0.0, 1.0, "rises by 10.9 ± 2.0 points",
     "falls by 3.5 ± 0.5 points"),
    ("ablation_batch_size", "batch", 16, 256, "rises by 14.8 ± 2.2 points with no memory",
     "falls by 14.8 ± 2.2 points with no memory"),
    ("from_scratch", "arm", "no memory", "memory (R_M = 0.1)",
     "rises by 1.5 ± 0.2 points at the tuned rate", "falls by 1.5 ± 0.2 points at the tuned rate"),
    ("losses_with_memory", "arm", "no memory", "memory (R_M = 1)", "rises by 0.6 ± 0.1 points",
     "falls by 0.6 ± 0.1 points"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "column", "one", "other", "before", "after"), CASES)
def test_closings_follow_the_numbers(name, column, one, other, before, after):
    """Oracle: the exported runs, and the same with two arms or batch sizes exchanged."""
    parameters = STUDIES[name].parameters
    module = importlib.import_module(parameters.__module__)
    data = pd.read_csv(FOLDER / f"{name}.csv")
    if name == "losses_with_memory":  # one R_M, so that the arms can be exchanged
        data = data[data["loss"] == "contrastive"]
    assert before in module.closing(data, parameters(profile="full"))
    assert after in module.closing(exchanged(data, column, one, other), parameters(profile="full"))


def test_the_papers_own_gains_leave_no_room_for_a_reason():
    """Oracle: Table 1 itself as our runs: the gains are the paper's."""
    study = STUDIES["losses_with_memory"]
    module = importlib.import_module(study.parameters.__module__)
    text = module.closing(table_1(), study.parameters(profile="full"))
    assert "rises by 13.8 ± 0.0 points on hanzi" in text and "falls" not in text
