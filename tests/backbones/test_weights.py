"""Tests of weights: from files, from torchvision by name, and back to files."""

import os
import pickle
import random
from contextlib import suppress
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torchvision import models
from torchvision.transforms.functional import normalize

from xbmlib.backbones import WeightsError, build, check_weights, fingerprint, save_trunk
from xbmlib.backbones.weights import SHIPPED, _read, load_trunk


def trained(net):
    """With batch statistics, without which a random network's output is little but its bias."""
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    net.train()(torch.randn(8, 3, 64, 64))
    torch.nn.init.zeros_(net.fc.bias)
    return net.eval()


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("googlenet", models.GoogLeNet_Weights.IMAGENET1K_V1),
        ("resnet50", models.ResNet50_Weights.IMAGENET1K_V2),
    ],
)
def test_weights_by_torchvisions_name(name, weights, tmp_path, monkeypatch):
    """Oracle: torchvision's own network on images normalised by torchvision, as its weights say.

    Random weights, auxiliary heads among them, replace the download. Saved and loaded again, they
    give the same embeddings.
    """
    torch.manual_seed(0)
    extra = {"googlenet": {"transform_input": True, "init_weights": True}}.get(name, {})
    theirs = trained(models.get_model(name, weights=None, **extra))
    monkeypatch.setattr(type(weights), "get_state_dict", lambda *a, **kw: theirs.state_dict())
    ours = build(name, 1000, weights.name).eval()
    save_trunk(ours.trunk, tmp_path / "again.safetensors")
    again = build(name, 1000, str(tmp_path / "again.safetensors")).eval()
    x = torch.rand(2, 3, 64, 64)
    preset = weights.transforms()
    with torch.no_grad():
        wanted = torch.nn.functional.normalize(theirs(normalize(x, preset.mean, preset.std)))
        for model in (ours, again):
            model.head.load_state_dict(theirs.fc.state_dict())
            torch.testing.assert_close(model(x), wanted)


def test_a_failed_download_says_what_to_do(monkeypatch):
    """Oracle: the message names the weights, the address and the place for the file."""
    weights = models.ResNet50_Weights.IMAGENET1K_V1

    def fail(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(type(weights), "get_state_dict", fail)
    with pytest.raises(WeightsError, match=r"IMAGENET1K_V1.*no route.*resnet50-\w+.pth.*check"):
        build("resnet50", 4, "IMAGENET1K_V1")


def test_saved_trunk_round_trip(tmp_path):
    """Oracle: equal tensors, batch-norm statistics included.

    Files from before PyTorch 0.4.1 lack ``num_batches_tracked``, which nothing here uses.
    """
    first = build("compact", 4)
    old = {k: v for k, v in first.trunk.state_dict().items() if "batches_tracked" not in k}
    torch.save(old, tmp_path / "old.pt")
    reread = build("compact", 4, str(tmp_path / "old.pt")).trunk.state_dict()
    assert all(torch.equal(reread[key], value) for key, value in old.items())
    first(torch.rand(8, 1, 32, 32))
    save_trunk(first.trunk, tmp_path / "t.safetensors")
    second = build("compact", 9, str(tmp_path / "t.safetensors"))
    for key, value in first.trunk.state_dict().items():
        assert torch.equal(second.trunk.state_dict()[key], value)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    """Oracle: the bytes that were there, and no temporary file beside them."""
    path = tmp_path / "t.safetensors"
    save_trunk(build("compact", 4).trunk, path)
    before = path.read_bytes()

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_trunk(build("compact", 4).trunk, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_shipped_weights():
    """Oracle: they load, differ from random ones, and stay under 6 MB."""
    assert SHIPPED["compact", "scripts"].stat().st_size < 6e6
    torch.manual_seed(0)
    plain = build("compact", 4)
    torch.manual_seed(0)
    trained = build("compact", 4, "scripts")
    assert torch.equal(plain.head.weight, trained.head.weight)
    assert not torch.equal(plain.trunk[0][0].weight, trained.trunk[0][0].weight)


def test_without_the_bundled_weights(tmp_path, monkeypatch):
    """Oracle: one line that names the file and the folder that holds it, for either use."""
    moved = tmp_path / "compact.safetensors"
    monkeypatch.setitem(SHIPPED, ("compact", "scripts"), moved)
    for call in (lambda: build("compact", 4, "scripts"), lambda: fingerprint("compact", "scripts")):
        with pytest.raises(WeightsError, match=r"xbmlib/data of the repository") as caught:
            call()
        assert str(caught.value).startswith(str(moved)) and "\n" not in str(caught.value)


class Code:
    """What unpickling would run: it leaves a file behind."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("plain", [True, False])
def test_code_is_not_unpickled(plain, tmp_path):
    """Oracle: a file whose code, run, would leave a trace, is refused, and leaves none."""
    path, trace = tmp_path / "evil.pt", tmp_path / "trace"
    if plain:
        path.write_bytes(pickle.dumps(Code(trace), protocol=2))
    else:
        torch.save({"0.0.weight": Code(trace)}, path)
    with pytest.raises(WeightsError, match="evil.pt"):
        build("compact", 4, str(path))
    assert not trace.exists()


def with_entry(change, name="0.0.weight"):
    """A state_dict of the compact trunk, changed in one entry."""
    state = build("compact", 4).trunk.state_dict()
    return state | {name: change(state[name])}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a plain file of tensors"),
        (b"PK", "not a plain file of tensors"),
        (b"\x80\x02.", "not a plain file of tensors"),
        ([1], "holds list; save a model's state_dict"),
        ({3: torch.ones(1)}, "holds Tensor under 3; save"),
        ({"epoch": 3}, "holds int under 'epoch'; save"),
        ({"state_dict": {"a": torch.ones(1)}}, r"torch\.load\(path\)\['state_dict'\]"),
        ({"epoch": 3, "model": {"a": torch.ones(1)}}, "entry 'model'; save that alone"),
        (with_entry(lambda v: v.to_sparse()), "0.0.weight is a sparse tensor"),
        (with_entry(lambda v: v.to("meta")), "0.0.weight is a meta tensor"),
        (with_entry(lambda v: v.to(torch.complex64)), "0.0.weight is torch.complex64"),
        (with_entry(lambda v: v.int()), "0.0.weight is torch.int32, where torch.float32"),
        (with_entry(lambda v: v * torch.nan), "0.0.weight has values that are not finite"),
        (
            with_entry(lambda v: v.reshape(1), "0.1.num_batches_tracked"),
            "of another shape: 0.1.num_batches_tracked",
        ),
    ],
    ids=["empty", "cut", "pickle", "list", "integer key", "number", "nested", "nested later",
         "sparse", "meta", "complex", "integers", "not finite", "counter"],
)  # fmt: skip
def test_what_is_no_state_dict(content, message, tmp_path):
    """Oracle: one line with the file, what it holds and the remedy; the trunk is as it was."""
    path = tmp_path / "odd.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    trunk = build("compact", 4).trunk
    before = {key: value.clone() for key, value in trunk.state_dict().items()}
    with pytest.raises(WeightsError, match=rf"odd\.pt.*{message}") as caught:
        load_trunk(trunk, "compact", str(path))
    assert "\n" not in str(caught.value)
    for key, value in trunk.state_dict().items():
        assert torch.equal(value, before[key])


@pytest.mark.parametrize("name", ["t.safetensors", "t.pt"])
def test_mutated_files(name, tmp_path):
    """Oracle: 120 seeded mutations of a file each end in WeightsError or load whole tensors."""
    path, chance = tmp_path / name, random.Random(0)
    trunk = build("compact", 4).trunk
    small = {key: value for key, value in trunk.state_dict().items() if value.numel() < 100}
    if name.endswith(".pt"):
        torch.save(small, path)
    else:
        path.write_bytes(safetensors.torch.save(small))
    whole = path.read_bytes()
    for turn in range(120):
        mutated = bytearray(whole)
        # The header says what the bytes mean, and is where a fault does most.
        for _ in range(1 + turn % 3):
            mutated[chance.randrange(len(whole) if turn % 2 else 2000)] = chance.randrange(256)
        path.write_bytes(mutated[: chance.randrange(len(whole))] if turn % 4 == 0 else mutated)
        with suppress(WeightsError):
            state = _read(path)
            assert all(isinstance(v, torch.Tensor) for v in state.values())


@pytest.mark.parametrize("name", ["a" * 300, "a" * 5000, "a\0b"], ids=len)
def test_a_name_that_no_file_can_have(name):
    """Oracle: one line that says so, for either use."""
    for call in (build, lambda backbone, dim, path: fingerprint(backbone, path)):
        with pytest.raises(WeightsError, match=r"\.pt': no such file; give the path of one"):
            call("compact", 4, f"{name}.pt")


def test_a_folder_in_place_of_a_file(tmp_path):
    """Oracle: one line that says so, for either use."""
    for name in ("a.pt", "a.safetensors"):
        (tmp_path / name).mkdir()
        for call in (
            lambda path: build("compact", 4, path),
            lambda path: fingerprint("compact", path),
        ):
            with pytest.raises(WeightsError, match=rf"{name}.*not a file"):
                call(str(tmp_path / name))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: build("compact", 4, "imagenet"), "imagenet.*scripts"),
        (lambda d: build("resnet50", 4, "IMAGENET"), "IMAGENET.*known: IMAGENET1K_V1"),
        (lambda d: build("bninception", 4, "IMAGENET1K_V1"), "bninception.*none, give a file"),
        (lambda d: build("compact", 4, str(d / "none.pt")), "none.pt.*no such file"),
        (lambda d: build("resnet50", 4, str(d / "t.safetensors")), "missing.*unexpected"),
        (lambda d: build("compact", 4, str(d / "broken.safetensors")), "broken.safetensors"),
    ],
)
def test_bad_values(call, message, tmp_path):
    """Oracle: the message names the value or the file, and the fault."""
    save_trunk(build("compact", 4).trunk, tmp_path / "t.safetensors")
    whole = (tmp_path / "t.safetensors").read_bytes()
    (tmp_path / "broken.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=message):
        call(tmp_path)


def test_weights_are_checked_without_building(tmp_path):
    """Oracle: what `build` refuses, in the same words; the global generator is left alone."""
    sound, other = tmp_path / "t.safetensors", tmp_path / "other.pt"
    save_trunk(build("compact", 4).trunk, sound)
    torch.save({"0.0.weight": torch.ones(3)}, other)
    before = torch.get_rng_state()
    for weights in ("scripts", str(sound)):
        for channels in (1, 3):
            check_weights("compact", weights, channels)
    check_weights("resnet50", "IMAGENET1K_V1", 3)  # named by torchvision, and not downloaded
    assert torch.equal(torch.get_rng_state(), before)
    for name, weights in (("compact", other), ("googlenet", sound), ("bninception", sound),
                          ("resnet50", "IMAGENET"), ("compact", tmp_path / "none.pt")):  # fmt: skip
        with pytest.raises(WeightsError) as checked:
            check_weights(name, str(weights), 3)
        with pytest.raises(WeightsError) as built:
            build(name, 4, str(weights), channels=3)
        assert str(checked.value) == str(built.value)
