"""Tests of the verdicts on Table 1, on frames made by hand."""

from tests.study.figures.frames import table_1
from xbmlib.study.figures import losses_with_memory, retrievals
from xbmlib.study.profiles import DATA


def test_the_papers_own_table_1_agrees():
    """Oracle: Section 4.3: R@1 with every loss rises; contrastive with memory is ahead."""
    parameters = losses_with_memory.Parameters(profile="full")
    found = losses_with_memory.verdicts(table_1(), parameters)
    assert [v.outcome for v in found] == ["agrees"] * 5
    assert found[0].paper == "SOP +13.8, In-shop +12.0, VehicleID +22.5 points (Table 1)"
    worse = [v.outcome for v in losses_with_memory.verdicts(table_1(-30.0), parameters)]
    assert worse == ["disagrees", "agrees", "agrees", "disagrees", "disagrees"]


def test_a_brief_profile_has_every_loss_on_the_first_data_set_alone():
    """Oracle: by hand: 2 runs of each loss there, and the contrastive loss's elsewhere."""
    parameters = losses_with_memory.Parameters(profile="quick")
    runs = {(e.data, e.loss, e.ratio > 0) for e in losses_with_memory.experiments(parameters)}
    assert len(runs) == 6 + 2 + 2
    assert {data for data, loss, _ in runs if loss == "contrastive"} == set(DATA)
    data = table_1()
    data = data[(data["data"] == DATA[0]) | (data["loss"] == "contrastive")]
    found = losses_with_memory.verdicts(data, parameters)
    assert [v.data.split(" (")[0] for v in found] == ["hanzi, emoji, hangul", *["hanzi"] * 4]
    assert [v.outcome for v in found] == ["agrees"] * 5
    first = {e.data for e in retrievals.experiments(retrievals.Parameters())}
    assert first == {DATA[0]}
