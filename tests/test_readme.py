"""Tests of what the README shows."""

import re
from pathlib import Path
from typing import get_args

import pandas as pd
import torch
from pandas.testing import assert_frame_equal
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.losses.oracle import case
from xbmlib.study.statistics import Outcome
from xbmlib.study.summary import claims, followups, rewrite_readme

ROOT = Path(__file__).resolve().parents[1]


def example(name):
    """The README's one example in Python that mentions a name."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    (found,) = [block for block in blocks if name in block]
    return found


def test_the_training_loops_run():
    """Oracle: each ends, with its memory full and a finite loss; "several lines of code"."""
    names = {}
    code = example("import XBM")
    exec(code, names)
    assert names["xbm"].memory.full and names["value"].isfinite()
    assert len(code.splitlines()) < 15
    del names["value"]
    exec(example("memory.enqueue"), names)
    assert names["memory"].full and names["value"].isfinite()


def test_a_custom_loss():
    """Oracle: autograd through the formula, against a memory and within the batch; 40 lines."""
    code, names = example("BinomialDeviance"), {}
    exec(code, names)
    assert len(code.splitlines()) < 40
    anchors, labels, memory, memory_labels, own = case(seed=1)
    loss, z = names["BinomialDeviance"](), anchors.clone().requires_grad_()
    for refs, ref_labels, itself, given in (
        (memory, memory_labels, own, (labels, memory, memory_labels)),
        (z, labels, torch.arange(12), (labels,)),
    ):
        s = z @ refs.T
        same = labels[:, None] == ref_labels
        pair = same.clone()
        pair[torch.arange(12), itself] = False
        terms = torch.log1p(torch.exp(2 * (0.5 - s)))[pair].sum()
        terms = terms + torch.log1p(torch.exp(40 * (s - 0.5)))[~same].sum()
        (wanted,) = torch.autograd.grad(terms / 12, z)
        out = loss(z, *given, **({"own": own} if refs is memory else {}))
        (found,) = torch.autograd.grad(out, z)
        torch.testing.assert_close(out, terms / 12)
        torch.testing.assert_close(found, wanted)


def test_your_own_model_loss_and_logger(tmp_path, monkeypatch, capsys):
    """Oracle: TensorBoard's reader: the curves of every logged step; and the recall printed."""
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(example("TensorBoard"), names)
    events = EventAccumulator("board").Reload()
    found = {tag: [e.step for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert found["step/batch_loss"] == [0, 10, 20, 30]
    assert found["step/memory_loss"] == found["step/memory_age_max"] == [10, 20, 30]
    assert found["evaluation/R@1"] == [20, 40]
    recall = [row["R@1"] for row in names["trainer"].rows["evaluation"]]
    assert str(recall[-1]) in capsys.readouterr().out
    assert names["best"].best == max(recall) > 0
    names["trainer"].model.load_state_dict(torch.load("best.pt"))


def test_the_table_is_generated():
    """Oracle: the stored verdicts, rendered anew, and results/claims.csv, a row for each."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert rewrite_readme(text) == text
    stored = pd.read_csv(ROOT / "results" / "claims.csv")
    # A file has no empty words, and six digits of a number.
    words = ["notebook", "profile", "error", "precision", "data"]
    stored[words] = stored[words].fillna("")
    assert_frame_equal(stored, claims(), check_dtype=False, rtol=1e-5)
    assert text.count("| **") == len(stored) > 10
    assert set(stored["outcome"]) <= set(get_args(Outcome))
    assert stored[["claim", "paper", "ours", "rule"]].notna().all(axis=None)
    assert pd.read_csv(ROOT / "results" / "followups.csv").equals(followups())
