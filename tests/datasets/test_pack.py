"""Tests of packs: against loose files; stale, damaged and interrupted ones."""

import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from tests.datasets.trees import inshop_tree, sop_tree
from tools.storm.processes import ended
from xbmlib import datasets
from xbmlib.datasets import DatasetError, ImageFiles, Packed
from xbmlib.datasets.pack import main, pack
from xbmlib.datasets.views import VIEWS

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def base(tmp_path, monkeypatch):
    """XBM_DATA with a small SOP in it."""
    monkeypatch.setenv("XBM_DATA", str(tmp_path))
    return sop_tree(tmp_path)


def seeded():
    """A generator."""
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("view", VIEWS)
def test_an_original_pack_is_the_files_to_the_byte(base, view):
    """Oracle: the loose files: bytes, labels, both views, fingerprint; 24 images in shards of 5."""
    loose = datasets.load("sop", view=view)
    folder = pack("sop", "original", base, base, per_shard=5, workers=0)
    assert [p.name for p in sorted(folder.glob("*.arrow"))] == [f"0000{i}.arrow" for i in range(5)]
    packed = datasets.load("sop", view=view)
    assert packed.fingerprint == loose.fingerprint
    for ours, theirs in ((packed.train, loose.train), (packed.query, loose.query)):
        assert isinstance(ours, Packed) and isinstance(theirs, ImageFiles)
        assert torch.equal(ours.labels, theirs.labels) and ours.channels == 3
        rows = torch.randperm(len(ours), generator=seeded())
        assert all(ours.encoded(i) == theirs.encoded(i) for i in rows.tolist())
        assert torch.equal(ours.fetch(rows), theirs.fetch(rows))
        whole = theirs.fetch(rows, seeded())
        assert torch.equal(ours.fetch(rows, seeded()), whole)
        # One of several processes reads its part of the batch that a single process reads.
        for images in (ours, theirs):
            assert torch.equal(images.fetch_part(rows, slice(2, 5), seeded()), whole[2:5])


def test_a_pack_is_selected_from_and_pickled(base):
    """Oracle: the rows of the whole, after its shards have been opened."""
    pack("sop", "original", base, base, per_shard=5, workers=0)
    whole = datasets.load("sop", view="paper").query
    seen = whole.fetch(torch.arange(12))
    part = pickle.loads(pickle.dumps(whole.select(torch.tensor([9, 4, 4]))))
    assert part.labels.tolist() == whole.labels[[9, 4, 4]].tolist()
    assert torch.equal(part.fetch(torch.arange(3)), seen[[9, 4, 4]])
    assert torch.equal(whole.of_classes(torch.tensor([5])).fetch(torch.arange(4)), seen[4:8])


class Fetched(Dataset):
    """One image at a time, for a DataLoader."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, row):
        return self.images.fetch(torch.tensor([row]))[0]


def test_other_processes_read_a_pack(base):
    """Oracle: what this process reads; its maps are open already when the others begin."""
    pack("sop", "original", base, base, per_shard=5, workers=0)
    images = datasets.load("sop", view="paper").query
    here = images.fetch(torch.arange(12))
    loader = DataLoader(Fetched(images), 4, num_workers=2)
    assert torch.equal(torch.cat(list(loader)), here)


@pytest.mark.parametrize("view", VIEWS)
def test_a_resized_pack_is_as_good_as_the_files(base, view):
    """Oracle: the loose files within what JPEG loses; sizes that the view crops from."""
    loose = datasets.load("sop", view=view)
    pack("sop", view, base, base, per_shard=5, workers=0)
    packed = datasets.load("sop", view=view)
    assert packed.fingerprint != loose.fingerprint  # not the same pixels: not the same run
    rows = torch.arange(12)
    for generator in (None, seeded):
        ours, theirs = (
            images.fetch(rows, generator() if generator else None)
            for images in (packed.query, loose.query)
        )
        assert (ours.float() - theirs.float()).abs().mean() < 3
    for row in range(12):
        with (
            Image.open(BytesIO(packed.query.encoded(row))) as image,
            Image.open(loose.query.path(row)) as whole,
        ):
            assert image.format == "JPEG" and image.mode == "RGB"
            if view == "paper":
                assert image.size == (256, 256)
            else:
                assert min(image.size) == 256
                ratio = whole.width / whole.height
                assert image.width / image.height == pytest.approx(ratio, rel=0.01)


def test_a_pack_needs_no_loose_images(base):
    """Oracle: the lists alone are left; gallery and queries come from the pack as well."""
    inshop_tree(base)
    before = datasets.load("inshop", view="paper")
    rows = torch.arange(6)
    wanted = [part.fetch(rows) for part in (before.train, before.query, before.gallery)]
    pack("inshop", "original", base, base, workers=0)
    shutil.rmtree(base / "In-shop" / "img")
    after = datasets.load("inshop", view="paper")
    found = [part.fetch(rows) for part in (after.train, after.query, after.gallery)]
    assert all(map(torch.equal, found, wanted)) and after.fingerprint == before.fingerprint


def test_the_pack_of_the_view_comes_first(base):
    """Oracle: the folder of each pack; "released" has none but the originals."""
    for view in ("original", "paper"):
        pack("sop", view, base, base, workers=0)
    assert datasets.load("sop", view="paper").train.folder.name == "sop-paper.pack"
    assert datasets.load("sop", view="released").train.folder.name == "sop-original.pack"


def test_stale_packs_are_refused(base):
    """Oracle: one image less in the list; the message names the pack and the remedy."""
    folder = pack("sop", "paper", base, base, workers=0)
    file = base / "Stanford_Online_Products" / "Ebay_train.txt"
    file.write_text("\n".join(file.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(DatasetError, match=r"sop-paper.pack: stale.*remove .*--view paper"):
        datasets.load("sop", view="paper")
    with pytest.raises(DatasetError, match=r"sop-paper.pack: holds images of other lists.*remove"):
        pack("sop", "paper", base, base, workers=0)
    (folder / "manifest.json").unlink()
    with pytest.raises(DatasetError, match="holds images of other lists"):
        pack("sop", "paper", base, base, workers=0)


def test_shards_of_another_size_are_not_mixed(base):
    """Oracle: 24 images by 23, whose second shard has one, are not taken for 24 by 1."""
    folder = pack("sop", "original", base, base, per_shard=23, workers=0)
    (folder / "manifest.json").unlink()
    (folder / "00000.arrow").unlink()
    with pytest.raises(DatasetError, match=r"sop-original.pack: .*shards of another size; remove"):
        pack("sop", "original", base, base, per_shard=1, workers=0)
    with pytest.raises(DatasetError, match="per_shard=0: "):
        pack("sop", "original", base, base, per_shard=0)
    assert pack("sop", "original", base, base, per_shard=23, workers=0) == folder


def test_an_unfinished_pack_is_ignored(base):
    """Oracle: the loose files, and a warning with the command that finishes it: shards as long as
    the one of 24 images that is there.
    """
    folder = pack("sop", "paper", base, base, workers=0)
    (folder / "manifest.json").unlink()
    with pytest.warns(UserWarning, match="not finished.*pack sop --view paper --per-shard 24 --to"):
        assert isinstance(datasets.load("sop", view="paper").train, ImageFiles)


def test_damaged_packs_are_refused(base):
    """Oracle: the shard and the remedy; within a shard the row and the path of the image."""
    folder = pack("sop", "original", base, base, per_shard=5, workers=0)
    shard = folder / "00001.arrow"
    content = shard.read_bytes()
    shard.write_bytes(content[:-100])
    with pytest.raises(DatasetError, match=r"00001.arrow: .*damaged; remove .* --original"):
        datasets.load("sop", view="paper")
    loose = base / "Stanford_Online_Products" / "bicycle_final" / "000002_3.JPG"
    jpeg = loose.read_bytes()
    assert content.count(jpeg) == 1
    shard.write_bytes(content.replace(jpeg, bytes(len(jpeg))))
    train = datasets.load("sop", view="paper").train
    train.fetch(torch.tensor([6, 8]))
    with pytest.raises(DatasetError, match=r"00001.arrow, row 2 \(bicycle_final/000002_3.JPG\)"):
        train.fetch(torch.tensor([7]))
    fresh = datasets.load("sop", view="paper").train
    shard.write_bytes(bytes(len(content)))
    with pytest.raises(DatasetError, match=r"00001.arrow: cannot be read.*remove"):
        fresh.fetch(torch.tensor([5]))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_cannot_be_decoded_is_not_packed(base, workers, capsys):
    """Oracle: the path; earlier shards stay, and once it is repaired the pack is finished."""
    loose = base / "Stanford_Online_Products" / "bicycle_final" / "000003_0.JPG"
    jpeg = loose.read_bytes()
    loose.write_bytes(jpeg[:-200])
    with pytest.raises(DatasetError, match=r"000003_0.JPG: .*cannot be decoded"):
        pack("sop", "original", base, base, per_shard=4, workers=workers)
    folder = base / "sop-original.pack"
    assert sorted(p.name for p in folder.glob("*.arrow")) == ["00000.arrow", "00001.arrow"]
    assert main(["sop", "--original", "--per-shard", "4"]) == 1
    assert "000003_0.JPG" in capsys.readouterr().err
    loose.write_bytes(jpeg)
    assert main(["sop", "--original", "--per-shard", "4"]) == 0
    assert capsys.readouterr().out == f"{folder}\n"
    assert isinstance(datasets.load("sop", view="paper").train, Packed)


def test_any_reader_of_arrow_reads_a_shard(base):
    """Oracle: pyarrow itself: paths, labels and bytes of the loose files, in the lists' order."""
    folder = pack("sop", "original", base, base, per_shard=20, workers=0)
    with pa.ipc.open_file(str(folder / "00001.arrow")) as file:
        rows = file.read_all().to_pylist()
    assert [row["path"] for row in rows] == [f"bicycle_final/000006_{i}.JPG" for i in range(4)]
    root = base / "Stanford_Online_Products"
    assert all(row["label"] == 6 for row in rows)
    assert all(row["image"] == (root / row["path"]).read_bytes() for row in rows)


def test_a_killed_packing_resumes(tmp_path):
    """Oracle: an undisturbed packing, file by file; finished shards are not made again; by the
    system's list of processes, those that read for the killed one end too.
    """
    base = sop_tree(tmp_path / "data", classes=40, images=4)
    command = [sys.executable, "-m", "xbmlib.datasets.pack", "sop", "--original"]
    command += ["--root", str(base), "--per-shard", "2", "--to"]
    settings = {**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"}
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    folder = killed / "sop-original.pack"
    with subprocess.Popen(
        [*command, str(killed)], env=settings, stderr=subprocess.DEVNULL, start_new_session=True
    ) as run:
        while not (folder / "00002.arrow").is_file():
            assert run.poll() is None, "it ended before it could be killed"
            time.sleep(0.001)
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL and not (folder / "manifest.json").exists()
    assert ended(run.pid, 60)
    made = {path: path.stat().st_mtime_ns for path in folder.glob("*.arrow")}
    assert 3 <= len(made) < 80
    (folder / ".00070.arrow.1.tmp").write_bytes(b"half of it")
    for into in (killed, whole):
        pack("sop", "original", base, into, per_shard=2, workers=0)
    assert {path: path.stat().st_mtime_ns for path in made} == made
    files = {
        into: {p.name: p.read_bytes() for p in (into / "sop-original.pack").iterdir()}
        for into in (killed, whole)
    }
    assert files[killed] == files[whole]
    assert set(files[whole]) == {"manifest.json", *(f"{i:05}.arrow" for i in range(80))}


def test_a_finished_pack_is_not_made_again(base):
    """Oracle: the time at which each file was written."""
    folder = pack("sop", "paper", base, base, workers=0)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.*")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pack("sop", "paper", base, base, workers=0) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.*")} == before


def test_an_image_too_narrow_for_jpeg_is_named(base):
    """Oracle: the path; 255 : 1 is packed, at 65,280 of JPEG's 65,500 pixels."""
    image = base / "Stanford_Online_Products" / "bicycle_final" / "000002_0.JPG"
    Image.new("RGB", (2, 510)).save(image, "PNG")
    pack("sop", "released", base, base, workers=0)
    packed = datasets.load("sop", view="released").train
    assert packed.decoded(4).shape == (3, 65_280, 256)
    shutil.rmtree(base / "sop-released.pack")
    Image.new("RGB", (1, 256)).save(image, "PNG")
    with pytest.raises(DatasetError, match=r"000002_0.JPG: .*1 × 256 pixels, sides of a ratio"):
        pack("sop", "released", base, base, workers=0)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"fingerprint": 1, "per_shard": 0, "bytes": 3}', "\xff", "[" * 99_999],
)
def test_a_damaged_manifest_is_one_line(base, text):
    """Oracle: the file and the remedy, whatever was written into it."""
    manifest = pack("sop", "original", base, base, workers=0) / "manifest.json"
    manifest.write_text(text, encoding="latin-1")
    with pytest.raises(DatasetError, match="manifest.json: damaged.*make it again") as caught:
        datasets.load("sop", view="paper")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("damaged", ["manifest.json", "00000.arrow", "00001.arrow"])
@pytest.mark.parametrize("per_shard", [5, 1024])
def test_the_remedy_of_a_damaged_pack_keeps_what_is_whole(base, damaged, per_shard):
    """Oracle: the shards before, byte for byte, once the message is followed; inodes."""
    folder = pack("sop", "original", base, base, per_shard=per_shard, workers=0)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    if damaged not in files:
        damaged = "00000.arrow"
    inodes = {path.name: path.stat().st_ino for path in folder.glob("*.arrow")}
    (folder / damaged).write_bytes(files[damaged][:-100])
    with pytest.raises(DatasetError, match=f"{damaged}.*damaged") as caught:
        datasets.load("sop", view="paper")
    removed, command = re.search(
        "; remove (.*) and make it again: (.*)$", str(caught.value)
    ).groups()
    for path in removed.split(" and "):
        Path(path).unlink()
    assert command.startswith("python -m xbmlib.datasets.pack ")
    assert main(command.split()[3:]) == 0
    assert {path.name for path in folder.iterdir()} == files.keys()
    assert all((folder / name).read_bytes() == files[name] for name in inodes)
    assert isinstance(datasets.load("sop", view="paper").train, Packed)
    kept = [name for name in inodes if name != damaged]
    assert all((folder / name).stat().st_ino == inodes[name] for name in kept)


@pytest.mark.parametrize("line", ['"per_shard": 5', '"bytes": [', '"fingerprint": "'])
def test_one_changed_digit_of_a_manifest_is_seen(base, line):
    """Oracle: the file: with another number of images to a shard, they would change labels."""
    manifest = pack("sop", "original", base, base, per_shard=5, workers=0) / "manifest.json"
    assert datasets.load("sop", view="paper").train
    before = manifest.read_text()
    # The last digit of the line, or the first after it.
    at = next(i for i in range(before.index(line) + len(line) - 1, len(before))
              if before[i].isdigit())  # fmt: skip
    digit = str((int(before[at]) + 9) % 10)
    manifest.write_text(f"{before[:at]}{digit}{before[at + 1 :]}")
    with pytest.raises(DatasetError, match="manifest.json: damaged: not the content of its digest"):
        datasets.load("sop", view="paper")


def test_a_target_of_an_impossible_name(base, capsys):
    """Oracle: the file system's limit, 255 characters; one line, and a non-zero exit."""
    name = "a" * 300
    assert main(["sop", "--original", "--root", str(base), "--to", str(base / name)]) == 1
    said = capsys.readouterr().err
    assert f"{name}/sop-original.pack: the name is too long" in said and said.count("\n") == 1
    assert main(["sop", "--original", "--root", str(base / name)]) == 1
    said = capsys.readouterr().err
    assert f"{name}: holds no Stanford Online Products" in said and said.count("\n") == 1


def test_a_target_that_is_a_file(base, capsys):
    """Oracle: the path of the file, and a non-zero exit."""
    (base / "file").write_text("")
    assert main(["sop", "--original", "--root", str(base), "--to", str(base / "file")]) == 1
    message = f"{base / 'file'}: a file; give a folder to make the pack in"
    assert capsys.readouterr().err == message + "\n"
