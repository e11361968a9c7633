"""Tests of the verdicts on Figures 1 and 6, on frames made by hand."""

import pandas as pd
import pytest

from tests.study.figures.frames import SEEDS
from xbmlib.plots import ablation_batch_size as plot
from xbmlib.plots import style
from xbmlib.study.figures import ablation_batch_size
from xbmlib.study.profiles import PROFILES


def curves(with_memory, without, shuffled, weighted, **of):
    """A frame of the batch-size study: R@1 at each batch.

    Args:
        with_memory: R@1 with memory.
        without: R@1 with no memory.
        shuffled: what shuffled batches take from it.
        weighted: what the other losses add to it.
        of: parameters of the notebook.
    """
    parameters = ablation_batch_size.Parameters(**of or {"profile": "full"})
    rows = []
    for case in ablation_batch_size.cases(parameters.size):
        i = parameters.size.batches.index(case["batch"])
        values = with_memory if case["ratio"] else without
        value = values[i] - (shuffled if case["sampler"] == "shuffle" else 0)
        value += 0 if case["loss"] == "contrastive" else weighted
        rows += [case | {"seed": s, "R@1": value + 0.1 * s, "run": ""} for s in SEEDS]
    return parameters, pd.DataFrame(rows)


@pytest.fixture
def equal_updates(tmp_path):
    """The parameters of a profile whose batch sizes make equally many updates."""
    return {"profile": "paper", "data_root": str(tmp_path)}


def test_the_papers_own_curves_agree(equal_updates):
    """Oracle: Section 4.3: 25.1 points with no memory, 3.2 with; shuffled as good as PK; 78.2
    against 71.7.
    """
    parameters, data = curves([78.3, 79, 80, 81, 81.3], [46.6, 55, 63.9, 68, 71.71], 0.2, 1,
                              **equal_updates)  # fmt: skip
    assert [v.outcome for v in ablation_batch_size.verdicts(data, parameters)] == ["agrees"] * 5


def test_curves_that_say_the_opposite_disagree(equal_updates):
    """Oracle: the same numbers with the two arms exchanged."""
    parameters, data = curves([71.7, 68, 63.9, 55, 46.6], [81.4, 81, 80, 79, 78.2], 9, -1,
                              **equal_updates)  # fmt: skip
    assert [v.outcome for v in ablation_batch_size.verdicts(data, parameters)] == ["disagrees"] * 5


def test_half_of_what_the_paper_states_is_partly(equal_updates):
    """Oracle: by hand: R@1 rises by 12 points, not 25.1, and with memory by 6, not at most 3.2."""
    parameters, data = curves([78, 79, 80, 81, 84], [60, 62, 66, 70, 72], 0.2, 1,
                              **equal_updates)  # fmt: skip
    outcomes = [v.outcome for v in ablation_batch_size.verdicts(data, parameters)]
    assert outcomes == ["partly", "agrees", "partly", "partly", "agrees"]


def test_an_equal_number_of_images_judges_no_batch_size():
    """Oracle: by hand: the claims that compare batch sizes, and those at one batch size."""
    parameters, data = curves([78.3, 79, 80, 81, 81.3], [46.6, 55, 63.9, 68, 71.71], 0.2, 1)
    found = ablation_batch_size.verdicts(data, parameters)
    judged = {v.name: v.outcome for v in found}
    assert judged == {
        "larger_batch_helps": "not testable here",
        "weighting_helps_small_batches": "agrees",
        "batch_16_beats_256": "not testable here",
        "batch_matters_little": "not testable here",
        "shuffle_as_good": "agrees",
    }
    assert {v.seeds for v in found} == {len(SEEDS)}
    assert found[2].ours == (
        "not judged at an equal number of training images, where a larger batch makes fewer "
        "updates: contrastive on hanzi, memory (R_M = 1): R@1 78.4 at batch 16, 81.4 at batch 256; "
        "contrastive on hanzi, no memory: R@1 46.7 at batch 16, 71.8 at batch 256"
    )


def test_every_point_of_a_curve_sees_an_equal_number_of_images():
    """Oracle: steps × batch; and each curve has every batch size."""
    profile = PROFILES["full"]
    for case in ablation_batch_size.cases(profile):
        e = ablation_batch_size._experiment(profile, case, 0)
        assert e.steps * e.batch == profile.images
        assert (e.data, e.loss, e.sampler) == (case["data"], case["loss"], case["sampler"])
    sizes = pd.DataFrame(ablation_batch_size.cases(profile)).groupby(
        ["data", "loss", "ratio", "sampler"]
    )
    assert set(sizes["batch"].apply(tuple)) == {profile.batches}


def test_the_figure_shows_changes_beside_the_papers():
    """Oracle: arithmetic of printed numbers: 71.7 - 25.1 = 46.6 at batch 16; of ours by hand."""
    _, data = curves([78.3, 79, 80, 81, 81.3], [46.6, 55, 63.9, 68, 71.7], 0.2, 1)
    with style():
        figure = plot.batch_size(data, "at an equal number of updates")
    for ax in figure.axes:
        theirs = {ln.get_label(): ln.get_ydata() for ln in ax.lines if "paper" in ln.get_label()}
        assert theirs["paper (SOP), contrastive, no memory"] == pytest.approx([63.9 - 46.6, 25.1])
        if ax is figure.axes[2]:
            assert theirs["paper (SOP), contrastive, memory"] == pytest.approx(
                [78.2 - 46.6, 77.4 - 46.6]
            )
    drawn = [
        {c.get_label(): list(c.lines[0].get_ydata()) for c in ax.containers} for ax in figure.axes
    ]
    changes = [0, 8.4, 17.3, 21.4, 25.1]
    assert drawn[0]["contrastive"] == pytest.approx(changes)
    assert drawn[0]["triplet"] == pytest.approx([change + 1 for change in changes])
    assert drawn[1]["emoji"] == pytest.approx(changes)
    with_memory = drawn[2]["memory ($R_M$ = 100%), PK batches"]
    assert with_memory == pytest.approx([31.7, 32.4, 33.4, 34.4, 34.7])
