"""Tests on a GPU, skipped without one: the same numbers as on the CPU, and what a GPU alone has."""

import json
import sys

import pytest
import torch
from torch.nn import functional as F

from benchmarks.gpu_losses import captured
from tests.datasets.trees import inshop_tree
from tests.distributed.test_processes import torchrun
from tests.losses.oracle import brute_batch, case, each_setting
from xbmlib import backbones, datasets
from xbmlib.datasets import Retrieval
from xbmlib.losses import ContrastiveLoss, MultiSimilarityLoss, TripletLoss
from xbmlib.losses.candidates import BF16_ERROR
from xbmlib.queue import CrossBatchMemory
from xbmlib.recall import map_at_r, one_per_class, recall_at_k
from xbmlib.study import preflight
from xbmlib.study.parallel import run_all
from xbmlib.training.experiment import Experiment
from xbmlib.training.run import run_experiment
from xbmlib.training.store import RunStore

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
GPU = "cuda"
LOSSES = (ContrastiveLoss(0.3), TripletLoss(0.1), MultiSimilarityLoss())
RUN = {
    "data": "hangul",
    "batch": 16, "k": 4, "steps": 30, "start": 6, "ratio": 0.05, "dim": 16, "drift": (2, 7),
    "log_every": 1, "evaluations": 2, "probes": 8, "lemma": 3, "lr": 1e-4, "mined": 2,
}  # fmt: skip


@pytest.fixture
def small(monkeypatch):
    """The first classes of hangul, with VehicleID's lists: real images, few of them."""
    whole = datasets.load("hangul")
    few = [s.of_classes(s.classes[:60]) for s in (whole.train, whole.query)]
    lists = {"small": torch.arange(len(few[1]) // 2)}
    data = Retrieval("hangul", few[0], few[1], None, (1, 10), "small", lists)
    monkeypatch.setattr(datasets, "load", lambda name, split="test", view="rendered": data)
    return data


def outcome(loss, anchors, labels, memory, own):
    """Value, gradient and valid pairs against a memory, on the CPU."""
    v = anchors.clone().requires_grad_()
    out = loss(v, labels, memory.embeddings, memory.labels, own=own, shadow=memory.shadow)
    out.backward()
    valid = loss.valid
    return [x.cpu() for x in (out.detach(), v.grad, valid.negatives, valid.positives)]


@each_setting
def test_losses_by_the_loops(kind, settings):
    """Oracle: the loops over pairs, in float64."""
    anchors, labels, memory, memory_labels, own = case(m=9, size=50)
    total, _, _, _, gradient = brute_batch(
        kind, settings, anchors, labels, memory, memory_labels, own
    )
    v = anchors.to(GPU).requires_grad_()
    out = kind(**settings)(
        v, *(x.to(GPU) for x in (labels, memory, memory_labels)), own=own.to(GPU)
    )
    out.backward()
    assert out.item() == pytest.approx(total / len(labels))
    torch.testing.assert_close(v.grad.cpu(), gradient / len(labels))


@pytest.mark.parametrize("named", [{}, {"shadow": True}, {"dtype": torch.bfloat16}], ids=str)
@pytest.mark.parametrize("loss", LOSSES, ids=lambda x: type(x).__name__)
@pytest.mark.parametrize("noise", [0.5, 1.0], ids=["trained", "untrained"])
@pytest.mark.parametrize("size", [40_000, 300_000], ids=["whole", "searched"])
def test_losses_at_size(loss, named, noise, size):
    """Oracle: the same call on the CPU; up to more entries than a GPU takes whole."""
    generator = torch.Generator().manual_seed(0)
    centres = F.normalize(torch.randn(5000, 24, generator=generator))
    labels = torch.randint(0, 5000, (size + 64,), generator=generator)
    v = F.normalize(torch.randn(len(labels), 24, generator=generator))
    v = F.normalize(centres[labels] + noise * v)
    found = []
    for device in ("cpu", GPU):
        memory = CrossBatchMemory(size, 24, device=device, **named)
        memory.enqueue(v[:-64], labels[:-64])
        anchors, classes = v[-64:].to(device), labels[-64:].to(device)
        found.append(outcome(loss, anchors, classes, memory, memory.enqueue(anchors, classes)))
    (value, gradient, *pairs), (other, other_gradient, *other_pairs) = found
    torch.testing.assert_close(other, value, rtol=1e-4, atol=1e-5)
    assert (other_gradient - gradient).norm() <= 1e-3 * gradient.norm()
    for a, b in zip(pairs, other_pairs, strict=True):
        # A pair within a rounding of the bound may fall on either side.
        assert a.sum() > 0 and (a - b).abs().sum() <= 2 + 1e-4 * a.sum()


@pytest.mark.parametrize("d", [8, 128, 512, 2048])
def test_the_error_of_a_bfloat16_product_is_within_its_bound(d):
    """Oracle: float64; a GPU may add parts of a sum in bfloat16, and the search counts on this."""
    generator = torch.Generator().manual_seed(d)
    v, w = (F.normalize(torch.rand(n, d, generator=generator).add(0.2)) for n in (64, 70_000))
    exact = v.double() @ w.double().T
    rough = (w.to(GPU).bfloat16() @ v.to(GPU).bfloat16().T).T.cpu().double()
    assert (rough - exact).abs().max() < BF16_ERROR


def test_products_are_whole_float32():
    """Oracle: float64; TF32 has a thousandth of float32's digits."""
    a, b = torch.randn(200, 512), torch.randn(300, 512)
    error = (a.to(GPU) @ b.to(GPU).T).cpu().double() - a.double() @ b.double().T
    assert error.abs().max() < 1e-4


def test_the_queue_is_the_cpus():
    """Oracle: the queue on the CPU, after every batch; batches come from either device."""
    generator = torch.Generator().manual_seed(0)
    here, there = CrossBatchMemory(50, 6, shadow=True), CrossBatchMemory(50, 6, shadow=True).to(GPU)
    for step in range(40):
        m = int(torch.randint(1, 70, (), generator=generator))
        v, labels = torch.randn(m, 6, generator=generator), torch.arange(m) * step
        batch = [x.to(GPU) for x in (v, labels)] if step % 2 else [v, labels]
        slots = here.enqueue(v, labels, labels + 1)
        assert torch.equal(there.enqueue(*batch, labels + 1).cpu(), slots)
        for name in ("embeddings", "labels", "ids", "age", "copies"):
            assert torch.equal(getattr(there, name).cpu(), getattr(here, name)), name


@pytest.mark.parametrize("method", ["search", "one_pass"])
@pytest.mark.parametrize("make", [ContrastiveLoss, MultiSimilarityLoss])
def test_a_step_waits_for_nothing(make, method):
    """Oracle: torch's own debugging of synchronisations, made errors."""
    memory, loss = CrossBatchMemory(100, 8, device=GPU, shadow=True), make(method=method)
    v, labels = torch.randn(64, 8, device=GPU), torch.arange(64, device=GPU)

    def step():
        z = v.clone().requires_grad_()
        own = memory.enqueue(z, labels, labels)
        given = memory.embeddings, memory.labels
        total = loss(z, labels, *given, own=own, shadow=memory.shadow) + loss(z, labels)
        total.backward()

    step()  # kernels are compiled at their first call
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(4):
            step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("make", [ContrastiveLoss, TripletLoss, MultiSimilarityLoss])
def test_the_one_pass_in_a_cuda_graph(make):
    """Oracle: the search, on the images of the capture and on others in their place."""
    memory = CrossBatchMemory(2000, 32, device=GPU)
    entries = F.normalize(torch.randn(2000, 32, device=GPU))
    memory.enqueue(entries, torch.arange(2000, device=GPU) % 100)
    labels, own = torch.arange(16, device=GPU), torch.full((16,), -1, device=GPU)
    v, out = torch.empty(16, 32, device=GPU, requires_grad=True), torch.empty(16, 32, device=GPU)

    def gradient(loss):
        return torch.autograd.grad(loss(v, labels, memory, own=own), v)[0]

    def replace(seed):
        generator = torch.Generator(GPU).manual_seed(seed)
        new = torch.randn(16, 32, device=GPU, generator=generator)
        with torch.no_grad():
            v.copy_(F.normalize(new + 2 * entries[:16]))

    replace(0)
    one_pass = make(method="one_pass")
    replay = captured(lambda: out.copy_(gradient(one_pass)))
    for seed in (0, 1):
        replace(seed)
        replay()
        wanted = gradient(make())
        assert wanted.norm() > 0
        torch.testing.assert_close(out, wanted, atol=1e-5, rtol=1e-4)


def test_labels_have_to_be_with_the_embeddings():
    """Oracle: one error that names both places."""
    v, labels = torch.randn(4, 8, device=GPU), torch.arange(4)
    with pytest.raises(ValueError, match="labels on cpu, embeddings on cuda"):
        recall_at_k(v, labels, (1,))


def test_recall():
    """Oracle: the same on the CPU; duplicates tie."""
    generator = torch.Generator().manual_seed(0)
    v = F.normalize(torch.randn(5000, 32, generator=generator))
    v[::7] = v[1::7][: len(v[::7])]
    labels = torch.randint(0, 900, (5000,), generator=generator)
    on = v.to(GPU), labels.to(GPU)
    # Counts are the same; the mean of them may differ in its last bit.
    assert recall_at_k(*on, (1, 10, 100)) == pytest.approx(recall_at_k(v, labels, (1, 10, 100)))
    assert map_at_r(*on) == pytest.approx(map_at_r(v, labels), abs=1e-6)
    halves = on[0][:2500], on[1][:2500], (1, 5), on[0][2500:], on[1][2500:]
    wanted = recall_at_k(v[:2500], labels[:2500], (1, 5), v[2500:], labels[2500:])
    assert recall_at_k(*halves) == pytest.approx(wanted)
    assert one_per_class(*on, (1, 5)) == pytest.approx(one_per_class(v, labels, (1, 5)))


@pytest.mark.parametrize("net", ["compact", "googlenet", "bninception", "resnet50"])
def test_embeddings_of_the_nets(net):
    """Oracle: the CPU in float32."""
    torch.manual_seed(0)
    model = backbones.build(net, 64).eval()
    x = torch.rand(8, 1 if net == "compact" else 3, *(2 * [32 if net == "compact" else 224]))
    with torch.no_grad():
        wanted = model(x)
        model.to(GPU, memory_format=torch.channels_last)
        x = x.to(GPU).contiguous(memory_format=torch.channels_last)
        exact = model(x).cpu()
        with torch.autocast("cuda", torch.bfloat16):
            rough = model(x).cpu().float()
    torch.testing.assert_close(exact, wanted, atol=2e-3, rtol=0)
    assert (rough * wanted).sum(1).min() > 0.99


@pytest.mark.parametrize("loss", ["contrastive", "triplet", "multi_similarity"])
@pytest.mark.parametrize("ratio", [0.0, 0.05])
def test_a_run(small, tmp_path, monkeypatch, loss, ratio):
    """Oracle: the run on the CPU; its first losses, and roughly its recall."""
    e = Experiment(**RUN | {"loss": loss, "ratio": ratio, "precision": "fp32"})
    run = run_experiment(e, RunStore(tmp_path / "gpu"))
    assert run.provenance["device"] == torch.cuda.get_device_name()
    with monkeypatch.context() as here:
        here.setattr(torch.cuda, "is_available", lambda: False)
        wanted = run_experiment(e, RunStore(tmp_path / "cpu"))
    assert wanted.provenance["device"] == "cpu"
    first = slice(0, 5)
    for column in ("batch_loss", "batch_negatives"):
        assert run.metrics[column][first].tolist() == pytest.approx(
            wanted.metrics[column][first].tolist(), rel=0.02, abs=1e-3
        )
    assert run.recall.keys() == wanted.recall.keys()
    assert run.recall["R@10"] == pytest.approx(wanted.recall["R@10"], abs=0.1)
    assert run.drift["C"].gt(0).all() and len(run.drift) == len(wanted.drift)
    assert len(run.mined) > 0 or not ratio


def test_interrupted(small, tmp_path):
    """Oracle: the undisturbed run, to what a GPU's order of sums leaves."""
    e = Experiment(**RUN | {"init": "sample"})
    whole = run_experiment(e, RunStore(tmp_path / "whole"))
    count = 0

    def progress(steps):
        nonlocal count
        count += steps
        if count >= 17:
            raise KeyboardInterrupt

    store = RunStore(tmp_path / "cut")
    with pytest.raises(KeyboardInterrupt):
        run_experiment(e, store, progress=progress, checkpoint_steps=5)
    run = run_experiment(e, store, checkpoint_steps=5)
    assert run.metrics["step"].tolist() == list(range(30))
    for column in ("memory_loss", "batch_loss", "lr"):
        assert run.metrics[column].tolist() == pytest.approx(
            whole.metrics[column].tolist(), rel=0.1, abs=0.02, nan_ok=True
        )


def test_neighbours(small, tmp_path):
    """Oracle: R@1 among the sampled queries, which are all; it is searched by faiss."""
    pytest.importorskip("faiss")
    e = Experiment(**RUN | {"neighbours": len(small.query)})
    run = run_experiment(e, RunStore(tmp_path))
    first = run.neighbours[run.neighbours["rank"] == 1]
    assert first["correct"].mean() == pytest.approx(run.recall["R@1"], abs=0.01)


def test_runs_share_a_gpu_in_turn(tmp_path):
    """Oracle: the experiments given; the worker is another process."""
    few = {"split": "smoke", "steps": 6, "start": 2, "drift": (), "evaluations": 1}
    runs = run_all([Experiment(**few, seed=s) for s in range(2)], RunStore(tmp_path))
    assert [r.experiment.seed for r in runs] == [0, 1]
    assert {r.provenance["device"] for r in runs} == {torch.cuda.get_device_name()}


def test_the_probe_of_a_large_net(tmp_path, monkeypatch, capsys):
    """Oracle: the allocator's own count, more than the weights and Adam's state; its limit."""
    monkeypatch.setenv("XBM_DATA", str(tmp_path))
    inshop_tree(tmp_path, classes=8)
    e = Experiment(
        data="inshop", view="paper", backbone="googlenet", weights=None, dim=512, batch=8, k=2,
        steps=4, start=1, ratio=1.0, evaluations=1,
    )  # fmt: skip
    found = preflight.probe(e)
    parameters = sum(p.numel() for p in backbones.build("googlenet", 512).parameters())
    assert found.peak > 16 * parameters and found.seconds > 0
    preflight.check([e], tmp_path / "runs")
    assert "GPU memory 0." in capsys.readouterr().out
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(2 * found.peak / whole)
    try:
        with pytest.raises(preflight.PreflightError, match="resnet50 at batch=32 does not fit"):
            preflight.probe(e.replace(batch=32, k=8, ratio=0.0, backbone="resnet50"))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_one_process_of_nccl(tmp_path):
    """Oracle: the run without a process group, and the loss against a whole memory."""
    done = torchrun(1, __file__, tmp_path / "found.json")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "found.json").read_text()) == {"backend": "nccl", "wrong": []}


def _nccl(path):
    """What the process does that the test above starts."""
    import torch.distributed as dist
    from torch import nn

    from xbmlib import distributed
    from xbmlib.distributed import ShardedMemory

    distributed.start()
    wrong = []

    def same(what, a, b):
        if not torch.allclose(a.cpu().double(), b.cpu().double(), atol=1e-6):
            wrong.append(what)

    torch.manual_seed(0)
    single, sharded = (kind(30, 5, device=GPU) for kind in (CrossBatchMemory, ShardedMemory))
    for _ in range(6):
        x, labels = torch.randn(8, 5, device=GPU), torch.randint(0, 3, (8,), device=GPU)
        z, w = (x.clone().requires_grad_() for _ in range(2))
        batch = distributed.gather(F.normalize(z), labels, labels)
        own = sharded.enqueue(batch.embeddings, batch.labels, batch.ids)
        single.enqueue(F.normalize(w), labels, labels)
        for loss in LOSSES:
            z.grad = w.grad = None
            value = distributed.memory_loss(loss, batch, sharded, own)
            other = loss(F.normalize(w), labels, single.embeddings, single.labels, own=own)
            value.backward(retain_graph=True)
            other.backward()
            same("value", value, other)
            same("gradient", z.grad, w.grad)
    state = sharded.gathered_state()
    same("state", state["features"], single.features)
    sharded.load_gathered_state(state)
    same("resumed", sharded.shard.embeddings, single.embeddings)
    net = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4)).to(GPU)
    x = torch.randn(9, 5, device=GPU)
    wanted = net(x).detach()
    distributed.broadcast_parameters(net)
    net = distributed.sync_batch_norm(net)
    same("norm", net(x), wanted)
    distributed.backward(net(x).square().sum(), net)
    if not all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters()):
        wrong.append("gradients")
    with open(path, "w") as file:
        json.dump({"backend": dist.get_backend(), "wrong": wrong}, file)
    dist.destroy_process_group()


if __name__ == "__main__":
    _nccl(sys.argv[1])
