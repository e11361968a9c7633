"""Tests of what the README and the pages that it links to show."""

import ast
import csv
import json
import re
from pathlib import Path
from typing import get_args
from urllib.parse import unquote

import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.nn.functional import normalize

from tests.losses.oracle import case
from xbmlib import XBM, ContrastiveLoss
from xbmlib.diagnose import Health
from xbmlib.study import claims_page, readme
from xbmlib.study.generated import rewrite
from xbmlib.study.readme import HEADLINES, calibration, conclusion, headlines
from xbmlib.study.statistics import Outcome
from xbmlib.study.summary import claims, followups, rewrite_readme, rewrite_results

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "docs/claims.md", "docs/faults.md", "docs/paper_scale.md",
         "docs/results.md", "docs/training.md")  # fmt: skip


def example(name, page="docs/training.md"):
    """A page's one example in Python that mentions a name."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.S)
    (found,) = [block for block in blocks if name in block]
    return found


def test_one_screen_then_depth():
    """Oracle: the number of lines; the conclusion, the figure and the table before any command."""
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 250
    first = text[: text.index("make reproduce")]
    assert "photographs" in first and ".png)" in first and first.count("| **") == len(HEADLINES)
    assert 6 <= len(HEADLINES) <= 8


def anchors(text):
    """The fragments that GitHub gives to a page's headings."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.S), re.M)
    shown = [re.sub(r"\[(.*?)\]\(.*?\)", r"\1", title).lower() for title in titles]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in shown}


def links(page):
    """The relative links and images of a page."""
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text("utf-8"), flags=re.S)
    found = re.findall(r"\]\(([^()\s]+)\)", text)
    return [unquote(link) for link in found if not link.startswith(("https://", "http://"))]


@pytest.mark.parametrize("page", PAGES)
def test_links_hold(page):
    """Oracle: the file system, and the headings of the page that a fragment points into."""
    for link in links(page):
        path, _, fragment = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        assert not fragment or fragment in anchors(target.read_text("utf-8")), link


def test_every_page_and_every_notebook_is_linked():
    """Oracle: the files of docs/ and notebooks/."""
    assert {str(p.relative_to(ROOT)) for p in (ROOT / "docs").iterdir()} <= {*PAGES}
    there = {link.partition("#")[0] for link in links("README.md")}
    assert {p for p in PAGES if p.startswith("docs/")} <= there
    assert {f"notebooks/{p.name}" for p in (ROOT / "notebooks").glob("*.ipynb")} <= there


def test_three_lines():
    """Oracle: the names that they use, given here: a loss with a gradient; no more than 3 lines."""
    net = torch.nn.Linear(4, 128)
    names = {"XBM": XBM, "ContrastiveLoss": ContrastiveLoss, "normalize": normalize, "net": net}
    names |= {"dataset": range(50), "images": torch.randn(8, 4), "labels": torch.arange(8) // 2}
    code = example("len(dataset)", "README.md")
    exec(code, names)
    assert len(code.splitlines()) == 3 and net.weight.grad.any()
    assert names["xbm"].memory.size == 50


def test_the_training_loops_run(capsys):
    """Oracle: each ends, with its memory full and a finite loss; "several lines of code"; R@1 and
    R@10 of random images by brute force.
    """
    names = {}
    code = example("import XBM", "README.md")
    exec(code, names)
    assert names["xbm"].memory.full and names["value"].isfinite()
    assert len(code.splitlines()) <= 15
    v, labels = normalize(names["net"](names["images"][1000:])), names["labels"][1000:]
    nearest = labels[(v @ v.T).fill_diagonal_(-2).argsort(1, descending=True)]
    hits = {k: (nearest[:, :k] == labels[:, None]).any(1).double().mean().item() for k in (1, 10)}
    assert ast.literal_eval(capsys.readouterr().out) == pytest.approx(hits)
    names = {}
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


def test_the_diagnosis_is_shown(capsys):
    """Oracle: the names of a `Health`, measured at the steps 20 and 40."""
    exec(example("import Diagnosis"), {})
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("20 {") and second.startswith("40 {")
    assert set(ast.literal_eval(second[3:])) == {*Health._fields} - {"drift", "drift_age"}


def test_your_own_images(tmp_path, monkeypatch, capsys):
    """Oracle: the recall that is printed, of the run's own result, and a row of the memory."""
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(example('"mine"'), names)
    trainer = names["trainer"]
    assert ast.literal_eval(capsys.readouterr().out) == trainer.result("mine").recall
    assert [row["step"] for row in trainer.rows["memory"]] == [20]


def test_the_tables_are_generated():
    """Oracle: the stored verdicts, rendered anew, and results/claims.csv, a row for each."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert rewrite_readme(text) == text
    stored = pd.read_csv(ROOT / "results" / "claims.csv")
    # A file has no empty words, and six digits of a number.
    words = ["notebook", "profile", "brief", "error", "precision", "data"]
    stored[words] = stored[words].fillna("")
    assert_frame_equal(stored, claims(), check_dtype=False, rtol=1e-5)
    further = pd.read_csv(ROOT / "results" / "followups.csv")
    assert further.equals(followups())
    page = (ROOT / "docs" / "claims.md").read_text("utf-8")
    assert page == claims_page.page(claims(), followups())
    assert page.count("\n| **") == len(stored) + len(further) and len(stored) > 10
    assert set(stored["outcome"]) <= set(get_args(Outcome)) == set(claims_page.MARKS)
    assert stored[["claim", "paper", "ours", "rule"]].notna().all(axis=None)


ROW = {"name": "saturation", "notebook": "cost", "claim": "A small cost; here b.", "paper": "p|q"}
ROW |= {"ours": "1.0", "outcome": "agrees", "data": "d", "seeds": 3, "rule": "at most 2."}
ROW |= {"p": 0.012, "p_holm": 0.3, "error": "40%", "precision": ""}


def test_the_page_groups_what_is_one_claim():
    """Oracle: by hand: one heading, two rows, a rule once; a bar does not end a cell."""
    rows = [ROW, ROW | {"claim": "A small cost; here c.", "outcome": "disagrees", "p": None}]
    without = pd.DataFrame([ROW]).drop(columns=["name", "p", "p_holm", "error", "precision"])
    found = claims_page.page(pd.DataFrame(rows), without)
    assert found[found.index("## The paper's claims") :] == (
        "## The paper's claims\n\n2 verdicts: ✓ agrees 1, ✗ disagrees 1.\n\n"
        "### A small cost\n\n"
        "| verdict | paper | ours | data | n |\n|---|---|---|---|---|\n"
        "| **✓ agrees** | p\\|q | 1.0; error reduction: 40%; p = 0.012 (0.3) | b; d | 3 |\n"
        "| **✗ disagrees** | p\\|q | 1.0; error reduction: 40% | c; d | 3 |\n\n"
        "Rule: at most 2. Notebook: [`cost`](../notebooks/cost.ipynb).\n\n"
        "## Further questions\n\n1 verdicts: ✓ agrees 1.\n\n"
        "### A small cost\n\n"
        "| verdict | paper | ours | data | n |\n|---|---|---|---|---|\n"
        "| **✓ agrees** | p\\|q | 1.0 | b; d | 3 |\n\n"
        "Rule: at most 2. Notebook: [`cost`](../notebooks/cost.ipynb).\n"
    )


def test_the_conclusion_says_what_came_out():
    """Oracle: by hand: every headline once, in the line of its outcome."""
    names = [claim.name for claim in HEADLINES]
    rows = pd.DataFrame([ROW | {"name": name} for name in reversed(names)])
    rows.loc[rows["name"] == names[1], "outcome"] = "undecided"
    assert list(headlines(rows).index) == names
    found = conclusion(rows)
    phrases = list(HEADLINES.values())
    agreeing = "; ".join([phrases[0], *phrases[2:]])
    assert found.startswith(
        f"The paper's main claims, by what came out here:\n\n- ✓ *as in the paper*: {agreeing}\n"
        f"- ? *undecided*: {phrases[1]}\n\nOf all {len(names)} claims of the paper: "
        f"✓ agrees {len(names) - 1}, ? undecided 1 ("
    )


def test_the_headlines_stand_without_what_belongs_to_them():
    """Oracle: by hand: the paper's figures without their places, ours without their details."""
    paper = "SOP: 3.2 (Section 4.3); In-shop: 1 (Table 4, R@1)"
    rows = pd.DataFrame(
        [ROW | {"name": c.name, "paper": paper, "ours": "2; more", "brief": "2"} for c in HEADLINES]
    )
    first, *_, last = readme.table(rows).splitlines()[2:]
    assert "| SOP: 3.2; In-shop: 1 | 2 | **✓ agrees** |" in first
    rows["brief"] = ""
    assert "| 2; more |" in readme.table(rows) and len(last.split(" | ")) == 5


def test_the_calibration_counts_warnings():
    """Oracle: by hand."""
    judged = [("hurt", True), ("hurt", False), ("between", True), ("healthy", False)]
    rows = [("setting", "hurt", True), *(("calibration", *row) for row in judged)]
    found = calibration(pd.DataFrame(rows, columns=["use", "outcome", "warned"]))
    assert "warned in 1 of the 2 where a memory hurt (R@1 below 0.8 of that with no memory), " \
        "in 0 of the 1 healthy ones (at least 0.9 of it) and in 1 of the 1 in between" \
        in found  # fmt: skip
    none = pd.DataFrame(rows, columns=["use", "outcome", "warned"]).query("outcome != 'between'")
    assert "in 0 of the 0 in between" in calibration(none)


def test_the_data_sets_are_counted():
    """Oracle: the files themselves, read apart from the loader."""
    table = readme.data_sets()
    for name in ("hanzi", "emoji", "hangul"):
        file = pd.read_parquet(
            ROOT / "xbmlib" / "data" / f"{name}.parquet", columns=["label", "split"]
        )
        train = file["split"] == "train"
        sizes = [
            n for part in (file[train], file[~train]) for n in (len(part), part["label"].nunique())
        ]
        (line,) = (line for line in table.splitlines() if f"`{name}`" in line)
        assert line.endswith(f" | {' | '.join(f'{n:,}' for n in sizes)} |")


def test_the_storm_is_counted():
    """Oracle: by hand."""
    rows = [("SIGKILL in training", 3, 2), ("one rank of two is killed", 1, 1)]
    rows += [("mutated parameters", 1000, 1000), ("no git", 1, 1)]
    said = readme.storm(pd.DataFrame(rows, columns=["kind", "tried", "survived"]))
    assert "tries 4 kinds of fault" in said and "1,004 of 1,005 trials were survived" in said
    assert "4 of them with a process that is killed, 1,000 with a mutated file" in said


def test_the_effort_is_summed(tmp_path):
    """Oracle: by hand: 3 hours and half an hour on the test classes, 2 on the validation's."""
    for name, split, hours in (("a", "test", 3), ("b", "test", 0.5), ("c", "validation", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"split": split}))
        (tmp_path / name / "provenance.json").write_text(json.dumps({"seconds": 3600 * hours}))
    (tmp_path / "unfinished").mkdir()
    assert readme.effort(tmp_path) == (
        "The 3 runs in `results/runs` took 6 hours of one core, 2 of them on the validation "
        "classes, for searches."
    )


@pytest.mark.parametrize("before", ["", "old\n", "old\nlines\n"])
def test_a_part_is_replaced_between_its_marks(before):
    """Oracle: by hand; marks with nothing between them are filled; once more changes nothing."""
    page = "a\n<!-- x: make x -->\n{}<!-- end of x -->\nb\n"
    once = rewrite(page.format(before), {"x": "| new |"})
    assert once == page.format("| new |\n") == rewrite(once, {"x": "| new |"})


def test_a_part_without_its_marks_is_refused():
    """Oracle: the name of the part."""
    with pytest.raises(ValueError, match="give the part 'storm' its marks"):
        rewrite("<!-- storm: python -m xbmlib.study.summary -->", {"storm": "x"})


def test_the_search_so_far_is_generated():
    """Oracle: the trials' own rows, by a plain loop: of each arm the highest MAP@R, and the
    form that the paper prints; single trials, and arms of unequally many, are left out. A search
    has finished when protocol.json has both arms.
    """
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert rewrite_results(page) == page
    with (ROOT / "results" / "search_protocol.csv").open(newline="") as file:
        trials = list(csv.DictReader(file))
    settings = json.loads((ROOT / "xbmlib" / "study" / "protocol.json").read_text())
    searches = {(row["loss"], row["batch"], row["data"]) for row in trials}
    for search in searches:
        loss, batch, data = search
        of_arm, printed = {"0": [], "1": []}, None
        for row in trials:
            if (row["loss"], row["batch"], row["data"]) == search:
                of_arm[row["ratio"]].append((float(row["MAP@R"]), float(row["R@1"])))
                if (row["init"], row["batch_loss"]) == ("sample", "False"):
                    printed = of_arm[row["ratio"]][-1]
        start = f"| {loss.replace('_', '-')}, {batch}, `{data}` |"
        line = [text for text in page.splitlines() if text.startswith(start)]
        assert len(line) == (1 < len(of_arm["0"]) == len(of_arm["1"]))
        chosen = [c for c in settings if (c["loss"], str(c["batch"]), c["data"]) == search]
        for text in line:
            shown = [
                f"{found[1]:.1f} / {found[0]:.1f}" if found else "not tried"
                for found in (*map(max, of_arm.values()), printed)
            ]
            count, *cells = text.removesuffix(" |").split(" | ")[1:]
            assert cells == shown
            goes_on = "" if len(chosen) == 2 else ", of a search that has not finished"
            assert count == f"{len(of_arm['0'])}{goes_on}"
