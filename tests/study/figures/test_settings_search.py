"""Tests of what is shown of the search for settings."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from tests.study.figures.test_style import inside, labels
from xbmlib.plots.settings_search import trials
from xbmlib.plots.style import style
from xbmlib.storage import CHECKOUT
from xbmlib.study import protocol
from xbmlib.study.figures.settings_search import (
    DEFAULT,
    Parameters,
    best,
    closing,
    forms,
    frame,
    symbol,
)
from xbmlib.study.notebook import ParameterError
from xbmlib.study.protocol import AS_PRINTED, FORMS, Arm


def rows(*trials):
    """A frame of (arm, lr, margin, form, MAP@R), of a search that has finished."""
    names = ["arm", "lr", "margin", "form", "MAP@R"]
    other = {"data": "hanzi", "run": "", "R@1": 1.0, "finished": True}
    return pd.DataFrame(trials, columns=names).assign(**other)


OTHER = next(name for name, form in FORMS.items() if form == AS_PRINTED)
TRIALS = rows(
    ("no memory", 2e-4, 0.5, None, 10.0),
    ("no memory", 4e-4, 0.5, None, 12.0),
    ("memory (R_M = 1)", 2e-4, 0.5, DEFAULT, 30.0),
    ("memory (R_M = 1)", 4e-4, 0.7, DEFAULT, 20.0),
    ("memory (R_M = 1)", 2e-4, 0.5, OTHER, 40.0),
)


def test_the_best_of_each_arm_and_the_forms():
    """Oracle: by hand: 12 of two trials, 40 of three; two forms at the rate of the grid's best."""
    found = best(TRIALS)
    assert list(found["MAP@R"]) == [12.0, 40.0] and list(found["trials"]) == [2, 3]
    assert list(forms(TRIALS)["form"]) == [DEFAULT, OTHER]
    assert list(forms(TRIALS)["MAP@R"]) == [30.0, 40.0]
    assert forms(TRIALS[:4]).empty


def test_every_trial_is_in_the_figure():
    """Oracle: by hand from the frame: each trial is one point, 12 below its MAP@R, the best with no
    memory; the best of each arm has a ring besides.
    """
    figure = trials(TRIALS, "λ", DEFAULT)
    (ax,) = figure.axes
    shown = [line for line in ax.lines if line.get_marker() != "None"]
    assert sorted(float(y) for line in shown for y in line.get_ydata()) == [-2, 0, 8, 18, 28]
    rings = sorted(float(y) for ring in ax.collections for _, y in ring.get_offsets())
    assert rings == [0.0, 28.0]
    assert len(figure.legends) == 1 and ax.get_title() == "hanzi, 1 seed"
    (other,) = trials(TRIALS.assign(finished=False), "λ", DEFAULT).axes
    assert other.get_title() == "hanzi, 1 seed (not finished)"
    plt.close("all")


def test_the_legend_of_a_single_set_fits_its_column():
    """Oracle: the figure's own box, which a legend of two columns would leave."""
    forms = [("memory (R_M = 1)", 2e-4, 0.5, form, 30.0) for form in FORMS]
    with style():
        figure = trials(pd.concat([TRIALS, rows(*forms)], ignore_index=True), "λ", DEFAULT)
        figure.draw_without_rendering()
    assert [t.get_text() for t in labels(figure) if not inside(t, figure.bbox.padded(2))] == []
    plt.close(figure)


def test_the_stored_trials_are_shown():
    """Oracle: results/search_protocol.csv, read by plain pandas."""
    stored = pd.read_csv(CHECKOUT / "results" / "search_protocol.csv")
    stored = stored[(stored["batch"] == 16) & (stored["loss"] == "contrastive")]
    parameters = Parameters()
    found = frame(parameters)
    assert list(found["run"]) == list(stored["run"]) and symbol(parameters) == "λ"
    assert list(found["margin"]) == list(stored["lam"])
    assert (found["form"].notna() == (stored["ratio"].to_numpy() > 0)).all()
    for name in stored["data"].unique():
        part = stored[stored["data"] == name]
        shown = best(found)
        top = shown[shown["data"] == name]["MAP@R"].max()
        assert top == pytest.approx(part["MAP@R"].max())


def test_a_search_that_does_not_exist_is_refused():
    """Oracle: the message names the values and the searches that there are."""
    with pytest.raises(ParameterError, match=r"batch=17.*contrastive at 16"):
        frame(Parameters(batch=17))


def test_the_closing_says_what_is_unfair():
    """Oracle: by hand: three trials against two; the best λ of both lies at an end of those tried,
    or between them.
    """
    text = closing(TRIALS, Parameters())
    assert "not yet equally many trials (memory (R_M = 1): 3 and no memory: 2)" in text
    assert "reaches 40.0% in MAP@R" in text
    assert "not yet equally many" in closing(TRIALS[:2], Parameters())
    assert "largest λ tried with no memory and memory (R_M = 1), so" in text
    between = TRIALS.assign(margin=[0.5, 0.6, 0.7, 0.5, 0.5])[:4]
    text = closing(between, Parameters())
    assert "On hanzi both arms have equally many trials (memory (R_M = 1): 2 and" in text
    assert "largest λ tried with memory (R_M = 1), so" in text


@pytest.mark.parametrize("ratios", [(), (0.0,), (0.0, 1.0)])
def test_the_closing_says_what_has_not_finished(ratios, monkeypatch):
    """Oracle: the arms whose settings a search has chosen: a search is of both."""
    chosen = {Arm("hanzi", "contrastive", 16, ratio): {} for ratio in ratios}
    monkeypatch.setattr(protocol, "chosen_settings", lambda: chosen)
    text = closing(frame(Parameters()), Parameters())
    assert ("The search on hanzi has not finished" in text) == (len(ratios) < 2)
