"""Input: images per second on one core, from loose JPEG files and from packs.

python -m benchmarks.input
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from torchvision import transforms
from torchvision.datasets import ImageFolder

from benchmarks.measure import Row, medians, publish, row
from xbmlib.datasets import ImageFiles, Images
from xbmlib.datasets.pack import pack
from xbmlib.datasets.packed import ORIGINAL, find_pack
from xbmlib.datasets.published import DISK
from xbmlib.datasets.views import VIEWS

# Files of 50 KB, read SEEN at a time.
IMAGES, SIDE, SEEN, ROUNDS = 200, 600, 50, 5
# Images per second that a GPU processes in training GoogLeNet or ResNet50.
WANTED = 1000
# The sources, and the least factor by which each should be faster than the peer.
KEPT = {
    "loose": ("loose files", 1.2),
    "original": ("a pack of the original bytes", 1.2),
    "resized": ("a pack of resized images", 3.0),
}
# The same views from torchvision's transforms, composed as in the released code.
PEERS = {
    "paper": [transforms.Resize((256, 256)), transforms.RandomCrop(224)],
    "released": [transforms.Resize(256), transforms.RandomResizedCrop(224, (0.2, 1.0))],
}


def photograph(seed: int) -> bytes:
    """JPEG with textures of every size, half as strong at half the size, as in photographs."""
    random = np.random.default_rng(seed)
    pixels = np.zeros((SIDE, SIDE, 3))
    for octave in range(2, 9):
        coarse = random.normal(0, 1, (3, 2**octave, 2**octave)).astype(np.float32)
        planes = [np.asarray(Image.fromarray(plane).resize((SIDE, SIDE))) for plane in coarse]
        pixels += np.stack(planes, 2) * 180 / 2 ** (octave - 1)
    out = io.BytesIO()
    Image.fromarray((pixels + 128).clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=90)
    return out.getvalue()


def tree(base: Path) -> Path:
    """A data set in SOP's layout with one folder per class, as ImageFolder expects."""
    root = base / "SOP"
    lists = {part: ["image_id class_id super_class_id path"] for part in ("train", "test")}
    for i in range(IMAGES):
        part, label = ("train", "test")[i % 2], i % 20
        path = root / f"class{label}" / f"{i}.JPG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photograph(i))
        lists[part].append(f"{i} {label} 1 class{label}/{i}.JPG")
    for part, lines in lists.items():
        (root / f"Ebay_{part}.txt").write_text("\n".join(lines) + "\n")
    return root


def measured(base: Path, name: str) -> dict[str, float]:
    """Images per second of one core's time in a training view, by source."""
    root, rows = base / "SOP", torch.arange(SEEN) * (IMAGES // SEEN)
    listing = DISK["sop"].listing(root)
    flip = transforms.RandomHorizontalFlip()
    peer = ImageFolder(root, transforms.Compose([*PEERS[name], flip, transforms.PILToTensor()]))
    sets: dict[str, Images] = {
        "loose": ImageFiles(root, listing.paths, listing.labels, VIEWS[name])
    }
    for kept in (ORIGINAL, name):
        # In separate folders: in one, the pack for this view would always be found first.
        pack("sop", kept, base, base / kept)
        found = find_pack(base / kept, "sop", VIEWS[name], listing)
        assert found is not None
        sets["original" if kept == ORIGINAL else "resized"] = found
    generator = torch.Generator().manual_seed(0)
    calls: dict[str, Callable[[], object]] = {
        kept: partial(images.fetch, rows, generator) for kept, images in sets.items()
    }
    calls["peer"] = lambda: torch.stack([peer[i][0] for i in rows.tolist()])
    return {
        kept: 1e3 * SEEN / ms for kept, ms in medians(ROUNDS, time.process_time, **calls).items()
    }


def rows() -> Iterator[Row]:
    """The cost of decoding, resizing and cropping: every file is in the system's cache."""
    with TemporaryDirectory() as folder:
        base = Path(folder)
        tree(base)
        for name in PEERS:
            rate = measured(base, name)
            for kept, (what, bar) in KEPT.items():
                yield row(
                    f"input, view {name}, {what}: images a second on a core",
                    "torchvision's ImageFolder and transforms, loose files",
                    rate[kept],
                    rate["peer"],
                    sense=">=",
                    bar=bar,
                    unit="images/s",
                )
                yield row(
                    f"input, view {name}, {what}: cores for {WANTED} images a second",
                    "torchvision's ImageFolder and transforms, loose files",
                    WANTED / rate[kept],
                    WANTED / rate["peer"],
                    unit="cores",
                )


def main() -> None:
    """Measure on one thread and write results/input.csv."""
    torch.set_num_threads(1)
    publish("input", list(rows()))


if __name__ == "__main__":
    main()
