"""Tests of the predictions for a very large memory, and of the notebook that shows them."""

import nbformat
import numpy as np
import pandas as pd
import pytest

from tests.kernels import ROOT, papermill
from xbmlib.study.figures import scaling
from xbmlib.study.figures.scaling import Parameters


def test_predicted_by_hand():
    """Oracle: arithmetic. A billion entries of 512 float32, a label and an id."""
    data = scaling.predicted(Parameters())
    assert len(data) == 16 and data.notna().all(axis=None)
    row = data[(data.ratio == 1) & (data.dtype == "float32") & (data.design == "sharded")].iloc[0]
    assert row.entries == 10**9 and row.gb == pytest.approx(2064 / 8)
    assert not row.fits and row.least == 52
    small = data[(data.ratio == 0.01) & (data.dtype == "bfloat16") & (data.design == "replicated")]
    assert small.gb.iloc[0] == pytest.approx(10.4) and small.fits.all()
    assert (data.groupby(["dtype", "design"], sort=False)["times"].diff().dropna() > 0).all()


def test_the_menus_start_where_the_notebook_stands():
    """Oracle: by hand; a choice of the menus is the prediction at parameters of these values."""
    parameters = Parameters(ranks=64)
    menus = scaling.menus(parameters)
    assert [found[0] for found in menus.values()] == [
        ("1,000,000,000", 10**9), ("512", 512), ("64", 64)
    ]  # fmt: skip
    assert [value for _, value in menus["GPUs"]] == [64, 1, 512]
    found = scaling.predicted_at(parameters, 10**6, 128, 8)
    pd.testing.assert_frame_equal(
        found, scaling.predicted(Parameters(samples=10**6, dim=128, ranks=8))
    )
    assert len(found.compare(scaling.predicted(parameters)))


def test_the_verdict_could_come_out_otherwise():
    """Oracle: a step of a second hides any memory, of a microsecond none; or a model far off."""
    check = scaling.checked().assign(time=1.0, sent=1.0)

    def outcome(check, **changes):
        p = Parameters(**changes)
        return [verdict.outcome for verdict in scaling.verdicts(check, p)]

    assert outcome(check, step_ms=1e3) == ["agrees"] * 2
    assert outcome(check, step_ms=1e-3) == ["disagrees"] * 2
    assert outcome(check, step_ms=1e3, gpu_gb=0.1) == ["disagrees"] * 2
    unclear = ["not testable here"] * 2
    assert outcome(check.assign(sent=2.5), step_ms=1e3) == unclear
    assert outcome(check.assign(time=0.3), step_ms=1e3) == unclear
    # Between the two lies a step so long that the outcome depends on the estimates.
    found = [outcome(check, step_ms=10**power)[0] for power in np.arange(-3, 3.1, 0.1)]
    assert list(dict.fromkeys(found)) == ["disagrees", "undecided", "agrees"]


def test_a_model_far_off_at_one_size_decides_nothing_at_that_size():
    """Oracle: by hand: R_M = 0.001 is a million entries, between 524,288 and 2,097,152; R_M = 0.01
    is more than the largest memory measured.
    """
    check = scaling.checked().assign(time=1.0, sent=1.0)
    for entries in (524_288, 2_097_152):
        found = check.assign(time=check["time"].where(check["entries"] != entries, 3.0))
        assert (found["time"] == 3.0).sum() == 2
        outcomes = [v.outcome for v in scaling.verdicts(found, Parameters(step_ms=1e3))]
        assert outcomes == ["agrees", "not testable here"]


def test_measured_traffic():
    """Oracle: what the kernel counted, but for headers and transmitted counts."""
    sent = scaling.checked().dropna(subset="sent")
    assert set(sent["design"]) == {"replicated", "sharded"}
    assert sent["sent"].between(0.95, 1.3).all()


def test_the_notebook(tmp_path):
    """Oracle: the files that every notebook writes, named after the parameter that is not its
    default, of which no verdict is stored; parameters out of range are refused.
    """
    notebook = ROOT / "notebooks" / "scaling.ipynb"
    done = papermill(notebook, tmp_path / "o.ipynb", tmp_path, "-p", "ranks", "64")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "figures" / "benchmarks"
    for kind in ("svg", "png", "csv"):
        assert (folder / f"scaling_ranks=64.{kind}").stat().st_size > 100
        assert (folder / f"scaling_check_ranks=64.{kind}").stat().st_size > 100
    assert set(pd.read_csv(folder / "scaling_ranks=64.csv")["gpus"]) == {64}
    assert all("ranks=64" in path.name for path in folder.iterdir())
    assert not list((tmp_path / "results").rglob("*.json"))
    cells = nbformat.read(tmp_path / "o.ipynb", 4).cells
    (verdicts,) = (c.outputs[0].data["text/html"] for c in cells if "conclude(" in c.source)
    assert verdicts.count("64 GPUs") == 2
    with pytest.raises(ValueError, match="efficiency"):
        Parameters(efficiency=2.0)


def test_what_one_gpu_reached_by_hand():
    """Oracle: the stored table's own figures; 64 anchors a number read bound bfloat16."""
    stored = pd.read_csv(ROOT / "results" / "scaling_gpu.csv").iloc[0]
    p = Parameters(efficiency=0.5, tb_per_second=2.0, fp32_tflops=60.0)
    table = scaling.reached(p).set_index("what")
    assert table["assumed"].tolist() == [30.0, 64.0, 1.0, p.tile_us]
    assert table["measured"].tolist() == pytest.approx(
        [stored.flops_float32 / 1e12, stored.flops_bfloat16 / 1e12, stored.bandwidth / 1e12,
         stored.tile * 1e6]
    )  # fmt: skip
