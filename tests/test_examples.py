"""Tests that run the examples as a reader does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

SCRIPT = Path(__file__).resolve().parents[1] / "examples" / "train_xbm.py"


def run(folder, *arguments):
    """The command line, in an unrelated folder."""
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_public_face_alone_in_100_lines():
    """Oracle: the imports of the text; `xbmlib` and its packages, no module within them."""
    text = SCRIPT.read_text()
    assert len(text.splitlines()) <= 100
    assert set(re.findall(r"from (xbmlib\S*)", text)) == {"xbmlib"}
    assert "import xbmlib" not in text


@pytest.fixture
def folder(tmp_path):
    """Four classes of six images of one shade each."""
    generator = torch.Generator().manual_seed(0)
    for name in range(4):
        (tmp_path / "images" / str(name)).mkdir(parents=True)
        for i in range(6):
            noise = torch.randint(0, 30, (40, 40), generator=generator)
            image = (60 * name + noise).to(torch.uint8).numpy()
            Image.fromarray(image).save(tmp_path / "images" / str(name) / f"{i}.png")
    return tmp_path


def test_own_images(folder):
    """Oracle: half the classes are the test; the memory fills after the warm-up of one step."""
    done = run(folder, "--images", "images", "--steps", "10", "--batch", "4")
    assert done.returncode == 0, done.stderr
    assert "12 images for training, 12 for the test" in done.stdout
    assert "step 2: " in done.stdout and "4 entries" in done.stdout
    assert "step 10: " in done.stdout and "12 entries" in done.stdout
    assert re.search(r"'R@1': \d+\.\d, 'R@10': \d+\.\d", done.stdout)
    assert not done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--images", "images", "--batch", "5"), "batch=5, k=2"),
        (("--images", "images", "--k", "0"), "k=0"),
        (("--images", "images", "--steps", "0"), "steps=0"),
        (("--images", "three"), "three: 3 classes; give 4 or more"),
        (("--images", "missing"), "missing"),
        (("--images", "images", "--batch", "16"), "8"),
        (("--data", "hanzy"), "hanzy"),
    ],
)
def test_bad_arguments_are_refused(folder, arguments, message):
    """Oracle: one line that names the value."""
    (folder / "three").mkdir()
    for name in "012":
        (folder / "three" / name).symlink_to(folder / "images" / name)
    done = run(folder, *arguments)
    assert done.returncode == 1 and message in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


@pytest.mark.slow
def test_bundled_images(tmp_path):
    """Oracle: the number of images of the set; the loss is finite."""
    done = run(tmp_path, "--data", "emoji", "--steps", "10")
    assert done.returncode == 0, done.stderr
    (value,) = re.findall(r"step 10: loss ([\d.]+)", done.stdout)
    assert 0 < float(value) < 100
