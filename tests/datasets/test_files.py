"""Tests of image files: what is fetched, and what is refused."""

import gc
import multiprocessing
import os
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.datasets import ImageFolder
from torchvision.transforms import functional

from tests.datasets.trees import photo, write_photo
from xbmlib.datasets import DatasetError, ImageFiles
from xbmlib.datasets.views import VIEWS
from xbmlib.training.experiment import Experiment
from xbmlib.training.loading import test_batches as loaded_for_test
from xbmlib.training.loading import training_batches


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve files of four classes."""
    root = tmp_path_factory.mktemp("images")
    for i in range(12):
        write_photo(root / f"{i // 3}" / f"{i}.jpg", i // 3, i)
    return root


def files(folder, view="paper"):
    """All of them."""
    paths = [f"{i // 3}/{i}.jpg" for i in range(12)]
    return ImageFiles(folder, paths, torch.arange(12) // 3, VIEWS[view])


def seeded(seed=0):
    """A generator."""
    return torch.Generator().manual_seed(seed)


def test_the_test_view_is_an_image_folders(folder):
    """Oracle: torchvision's ImageFolder with the same view, within one level of rounding."""

    def view(image):
        return functional.center_crop(functional.resize(image, [256, 256]), [224, 224])

    peer = ImageFolder(folder, view)
    theirs = {path: peer[i][0] for i, (path, _) in enumerate(peer.samples)}
    ours = files(folder)
    rows = torch.tensor([7, 0, 11])
    found = ours.fetch(rows)
    assert found.shape == (3, 3, 224, 224) and found.dtype == torch.uint8
    assert ours.channels == 3 and len(ours) == 12 and ours.classes.tolist() == [0, 1, 2, 3]
    for row, image in zip(rows.tolist(), found, strict=True):
        wanted = functional.pil_to_tensor(theirs[str(ours.path(row))])
        assert (image.int() - wanted.int()).abs().max() <= 1


def test_a_selection_is_of_its_rows(folder):
    """Oracle: the rows of the whole; selected twice, by class, and after pickling."""
    whole = files(folder)
    for part in (whole.select(torch.tensor([9, 4, 4])), pickle.loads(pickle.dumps(whole))):
        rows = [9, 4, 4] if len(part) == 3 else range(12)
        for at, row in enumerate(rows):
            assert part.labels[at] == whole.labels[row] and part.path(at) == whole.path(row)
    twice = whole.select(torch.arange(11, -1, -1)).select(torch.tensor([2]))
    assert torch.equal(twice.fetch(torch.tensor([0])), whole.fetch(torch.tensor([9])))
    assert whole.of_classes(torch.tensor([2])).labels.tolist() == [2, 2, 2]
    assert whole.select(torch.tensor([], dtype=torch.int64)).fetch(torch.tensor([])).shape[0] == 0


@pytest.mark.parametrize("view", VIEWS)
def test_training_views_depend_on_the_generator_alone(folder, view):
    """Oracle: equal bits by seed; an image keeps its crop whatever else is in the batch."""
    of, rows = files(folder, view), torch.tensor([3, 3, 5, 8])
    first = of.fetch(rows, seeded())
    assert torch.equal(first, of.fetch(rows, seeded()))
    assert not torch.equal(first, of.fetch(rows, seeded(1)))
    assert not torch.equal(first[0], first[1])  # one image, twice in the batch
    other = of.fetch(torch.tensor([1, 3, 7, 8]), seeded())
    assert torch.equal(first[1], other[1]) and torch.equal(first[3], other[3])
    before = torch.get_rng_state()
    of.fetch(rows, seeded())
    assert torch.equal(torch.get_rng_state(), before)


def damaged(tmp_path, content):
    """A single file with this content."""
    if content is not None:
        (tmp_path / "a.jpg").write_bytes(content)
    return ImageFiles(tmp_path, ["a.jpg"], torch.tensor([0]), VIEWS["paper"])


def jpeg(tmp_path, how="JPEG"):
    """Bytes of a real image."""
    photo(1, 1, (300, 200)).save(tmp_path / "whole", how)
    return (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("how", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.99])
def test_truncated_images_are_refused(tmp_path, how, share):
    """Oracle: the path and the remedy; never an image whose rest is grey."""
    content = jpeg(tmp_path, how)
    images = damaged(tmp_path, content[: int(share * len(content))])
    with pytest.raises(DatasetError, match=r"a\.jpg: .* bytes that cannot be decoded.*unpack"):
        images.fetch(torch.tensor([0]))


@pytest.mark.parametrize("content", [b"not an image at all", b"\xff\xd8\xff\xe0" + bytes(99)])
def test_a_file_that_is_no_image_is_refused(tmp_path, content):
    """Oracle: the path and the remedy, in training as in testing."""
    for generator in (None, seeded()):
        with pytest.raises(DatasetError, match=r"a\.jpg: .*cannot be decoded.*unpack"):
            damaged(tmp_path, content).fetch(torch.tensor([0]), generator)


def test_missing_files_are_refused(tmp_path):
    """Oracle: the path and the remedy; a folder is no file either."""
    with pytest.raises(DatasetError, match=r"a\.jpg: No such file.*unpack"):
        damaged(tmp_path, None).fetch(torch.tensor([0]))
    (tmp_path / "a.jpg").mkdir()
    with pytest.raises(DatasetError, match=r"a\.jpg: Is a directory.*unpack"):
        damaged(tmp_path, None).fetch(torch.tensor([0]))


def test_as_many_labels_as_paths():
    """Oracle: both counts in the message."""
    with pytest.raises(DatasetError, match="2 paths and 1 labels"):
        ImageFiles(Path(), ["a", "b"], torch.tensor([0]), VIEWS["paper"])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_raises_nothing_else(tmp_path_factory, data):
    """Oracle: an image of the right shape, or DatasetError; PNG, whose parts carry checksums."""
    folder = tmp_path_factory.mktemp("damage")
    how = data.draw(st.sampled_from(["JPEG", "PNG"]))
    content = bytearray(jpeg(folder, how))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    images = damaged(folder, bytes(content))
    try:
        assert images.fetch(torch.tensor([0])).shape == (1, 3, 224, 224)
    except DatasetError as error:
        assert "a.jpg" in str(error)


def test_a_pipe_is_refused_at_once(tmp_path):
    """Oracle: the path; nobody ever writes to the pipe."""
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(DatasetError, match=r"a\.jpg: not a regular file"):
        damaged(tmp_path, None).fetch(torch.tensor([0]))


def test_links_stay_within_the_folder(tmp_path):
    """Oracle: a link to a file of the folder is read; one out of it, by a file or by a folder, is
    refused with both paths. The folder itself may be a link.
    """
    inside, outside = tmp_path / "inside", tmp_path / "inside2"
    for folder in (inside, outside):
        write_photo(folder / "real.jpg", 0, 0)
    (inside / "near.jpg").symlink_to(inside / "real.jpg")
    (inside / "far.jpg").symlink_to(outside / "real.jpg")
    (inside / "folder").symlink_to(outside)
    (tmp_path / "link").symlink_to(inside)
    for root in (inside, tmp_path / "link"):
        paths = ["real.jpg", "near.jpg", "far.jpg", "folder/real.jpg"]
        images = ImageFiles(root, paths, torch.zeros(4, dtype=torch.int64), VIEWS["paper"])
        assert images.encoded(1) == images.encoded(0) == (inside / "real.jpg").read_bytes()
        for row in (2, 3):
            with pytest.raises(DatasetError, match=f"{paths[row]}: a link .*inside2/real.jpg, out"):
                images.encoded(row)


@pytest.mark.parametrize("view", VIEWS)
def test_a_damaged_image_in_training_is_one_line(tmp_path, view):
    """Oracle: the message of the image itself, from worker processes, in training and in testing;
    and no process is left.
    """
    write_photo(tmp_path / "whole.jpg", 0, 0)
    (tmp_path / "a.jpg").write_bytes(b"damaged")
    paths, labels = ["whole.jpg", "a.jpg"] * 2, torch.tensor([0, 0, 1, 1])
    images = ImageFiles(tmp_path, paths, labels, VIEWS[view])
    with pytest.raises(DatasetError) as alone:
        images.encoded(1) and images.decoded(1)
    e = Experiment(data="sop", view=view, batch=4, k=2, steps=3)
    for batches in (training_batches(e, images), loaded_for_test(images, 2)):
        with pytest.raises(DatasetError) as caught:
            list(batches)
        assert str(caught.value) == str(alone.value)
        assert len(str(caught.value).splitlines()) == 1
        del caught
    gc.collect()
    assert not multiprocessing.active_children()
