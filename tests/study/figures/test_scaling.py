"""Tests of the cost model of a very large memory, and of the notebook that shows it."""

import json

import pandas as pd
import pytest

from tests.study.test_notebooks import ROOT, papermill
from xbmlib.losses import candidates
from xbmlib.study.figures import scaling
from xbmlib.study.figures.cost_model import Load, Rates, cost
from xbmlib.study.figures.scaling import Parameters

# Round numbers, so that each term can be told from the others.
RATES = Rates(flops=1e9, exact=1e8, bandwidth=1e7, link=1e6, latency=1e-3)


def test_one_process_by_hand():
    """Oracle: 2mMD operations against MD numbers read, whichever takes longer."""
    load = Load("one process", 1, 64, 10, 100_000, 4, 0, 0)
    found = cost(load, RATES)
    assert found == (1, pytest.approx(4 * 10 * 100_000 / 1e7), 0.0, 0)
    many = cost(load._replace(m=6400), RATES)
    assert many.product == pytest.approx(2 * 6400 * 10 * 100_000 / 1e9)
    # bfloat16 halves what is read.
    assert cost(load._replace(entry_bytes=2), RATES).product == pytest.approx(found.product / 2)


def test_kept_pairs_by_hand():
    """Oracle: 64 x 30 similarities, 12 times 4 bytes each, and their product with 10 numbers."""
    load = Load("one process", 1, 64, 10, 1000, 4, 10, 20)
    extra = cost(load, RATES).product - cost(load._replace(matched=0, near=0), RATES).product
    assert extra == pytest.approx(64 * 30 * 12 * 4 / 1e7 + 2 * 64 * 30 * 10 / 1e8)


def test_a_gpu_by_hand():
    """Oracle: similarities pass its memory twice, those of bfloat16 once more in float32."""
    load, gpu = Load("one process", 1, 64, 10, 10**6, 4, 0, 0), RATES._replace(larger=16)
    pairs = 64 * 10**6
    assert cost(load, gpu).product == pytest.approx(2 * pairs * 10 / 1e9 + 8 * pairs / 1e7)
    low = cost(load._replace(entry_bytes=2), gpu).product
    assert low == pytest.approx(2 * pairs * 10 / 1e9 + 12 * pairs / 1e7)
    # Tiles of 2^24 pairs.
    tiled = cost(load, gpu._replace(tile=1e-3)).product - cost(load, gpu).product
    assert tiled == pytest.approx(pairs / candidates.DENSE_LIMIT["cuda"] * 1e-3)


def test_two_designs_by_hand():
    """Oracle: bytes counted by hand, for 4 ranks, 64 anchors of 10 numbers, 30 columns."""
    load = Load("replicated", 4, 64, 10, 100_000, 4, 10, 20)
    gathered = 64 * (4 * 10 + 16) * 3
    replicated, sharded = cost(load, RATES), cost(load._replace(design="sharded"), RATES)
    assert replicated.traffic == gathered + 2 * 8 * (2 + 128) * 3
    assert sharded.traffic == gathered + 64 * 30 * 4 * 3 + 2 * 64 * 10 * 4 * 3
    assert replicated.exchange == pytest.approx(replicated.traffic / 4 / 1e6 + 4e-3)
    assert sharded.exchange == pytest.approx(sharded.traffic / 4 / 1e6 + 8e-3)
    # A quarter of the entries is read; a rank alone has nobody to tell.
    bare = [cost(x._replace(matched=0, near=0), RATES).product for x in (
        load, load._replace(design="sharded"))]  # fmt: skip
    assert bare[1] == pytest.approx(bare[0] / 4)
    assert cost(load._replace(ranks=1, design="sharded"), RATES).exchange == 0
    # Traffic does not grow with M, but for the pairs that are valid.
    assert cost(load._replace(design="sharded", entries=10**9), RATES).traffic == sharded.traffic


def test_passes_by_hand():
    """Oracle: halving the anchors until what they share out of the columns fits in 2^20 pairs."""
    load = Load("one process", 1, 64, 10, 10**6, 4, 0, 2**20)
    # 64 x 2^20, 32 x 2^19, 16 x 2^18, 8 x 2^17 pairs.
    assert cost(load, RATES).passes == 8
    assert cost(load._replace(near=2**14), RATES).passes == 1
    assert cost(load, RATES._replace(larger=64)).passes == 1
    assert cost(load, RATES._replace(tile=1e-3)).product > cost(load, RATES).product


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


def test_the_verdict_could_come_out_otherwise():
    """Oracle: a step of a second hides any memory, one of a microsecond none; a model far off."""
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
    # A step at which the estimates decide.
    low, middle, high = (
        frame["times"].iloc[2] - 1
        for frame in (scaling.bounds(Parameters())[0], scaling.predicted(
            Parameters()), scaling.bounds(Parameters())[1])
    )  # fmt: skip
    assert low < middle < high
    assert outcome(check, step_ms=25 * middle / 0.52)[0] == "not testable here"


def test_measured_traffic():
    """Oracle: what the kernel counted, but for the headers and the counts that are told."""
    sent = scaling.checked().dropna(subset="sent")
    assert set(sent["design"]) == {"replicated", "sharded"}
    assert sent["sent"].between(0.95, 1.3).all()


def test_the_notebook(tmp_path):
    """Oracle: the files that every notebook leaves; parameters out of range are refused."""
    notebook = ROOT / "notebooks" / "scaling.ipynb"
    done = papermill(notebook, tmp_path / "o.ipynb", tmp_path, "-p", "ranks", "64")
    assert done.returncode == 0, done.stderr
    for kind in ("svg", "png", "csv"):
        assert (tmp_path / "figures" / "benchmarks" / f"scaling.{kind}").stat().st_size > 100
    assert set(pd.read_csv(tmp_path / "figures" / "benchmarks" / "scaling.csv")["gpus"]) == {64}
    path = tmp_path / "results" / "verdicts" / "benchmarks" / "scaling.json"
    verdicts = json.loads(path.read_text())
    assert len(verdicts) == 2 and all("64 GPUs" in verdict["data"] for verdict in verdicts)
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
