"""Build xbmlib/data/emoji.parquet: emoji in twelve vendors' designs, in the layout of In-shop.

    python tools/build_emoji.py [FOLDER]

FOLDER holds the packages named in emoji_packages.py, as npm pack stores them; without it they are
downloaded. A class is an emoji in at least two of the sets, identified by its Unicode sequence,
since the sets differ in its name. Half of the classes are for training; the images of every other
class are divided between query and gallery.
"""

from __future__ import annotations

import io
import random
import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import icons
import pyarrow as pa
import tables
from emoji_packages import PACKAGES
from PIL import Image

TARGET = Path(__file__).resolve().parent.parent / "xbmlib" / "data" / "emoji.parquet"
LEAST = 2
QUALITY = 80
SEED = 2020


@dataclass(frozen=True)
class Rendering:
    """An emoji as one vendor renders it, RGB bytes."""

    rgb: bytes
    vendor: str
    licence: str


def classes(sets: list[icons.IconSet]) -> dict[str, list[Rendering]]:
    """The renderings of each emoji that at least two sets have, by its most common name."""
    known = icons.identities(sets)
    names: dict[str, dict[str, str]] = defaultdict(dict)
    for icon_set in sets:
        for name in sorted(icon_set.icons):
            plain = icons.plain(name)
            names[known.get(plain, plain)].setdefault(icon_set.vendor, name)
    by_vendor = {icon_set.vendor: icon_set for icon_set in sets}
    rendered: dict[str, list[Rendering]] = {}
    for _, chosen in sorted(names.items()):
        if len(chosen) < LEAST:
            continue
        distinct: dict[bytes, Rendering] = {}
        for vendor, name in sorted(chosen.items()):
            rgb = by_vendor[vendor].render(name)
            distinct.setdefault(rgb, Rendering(rgb, vendor, by_vendor[vendor].licence))
        counts = Counter(chosen.values())
        title = min(counts, key=lambda name: (-counts[name], name))
        if title in rendered:
            raise SystemExit(f"{title}: the name of two classes")
        rendered[title] = list(distinct.values())
    return _unambiguous(rendered)


def _unambiguous(rendered: dict[str, list[Rendering]]) -> dict[str, list[Rendering]]:
    """Without blank images, and without images that two classes share."""
    times = Counter(image.rgb for images in rendered.values() for image in images)
    kept = {
        name: [i for i in images if times[i.rgb] == 1 and i.rgb != i.rgb[:3] * icons.SIDE**2]
        for name, images in rendered.items()
    }
    return {name: images for name, images in kept.items() if len(images) >= LEAST}


def split(rendered: dict[str, list[Rendering]]) -> list[tuple[Rendering, int, str, str]]:
    """(image, label, name, split) rows; a test class of odd size gives a random side one more."""
    rng = random.Random(SEED)
    order = rng.sample(sorted(rendered), len(rendered))
    rows = []
    for label, name in enumerate(order):
        images = rng.sample(rendered[name], len(rendered[name]))
        if label < len(order) // 2:
            rows += [(image, label, name, "train") for image in images]
        else:
            queries = (len(images) + rng.randrange(2)) // 2
            rows += [(image, label, name, "query") for image in images[:queries]]
            rows += [(image, label, name, "gallery") for image in images[queries:]]
    return rows


def encode(rgb: bytes) -> bytes:
    """WebP bytes of an image."""
    buffer = io.BytesIO()
    side = (icons.SIDE, icons.SIDE)
    Image.frombytes("RGB", side, rgb).save(buffer, "WEBP", quality=QUALITY, method=6)
    return buffer.getvalue()


def main() -> None:
    """Render and write."""
    if len(sys.argv) > 1:
        sets = icons.icon_sets(PACKAGES, Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            icons.fetch(PACKAGES, Path(folder))
            sets = icons.icon_sets(PACKAGES, Path(folder))
    rows = split(classes(sets))
    images, labels, names, splits = zip(*rows, strict=True)
    tables.write(
        TARGET,
        pa.array([encode(image.rgb) for image in images], pa.binary()),
        labels,
        name=names,
        vendor=[image.vendor for image in images],
        licence=[image.licence for image in images],
        split=splits,
    )
    print(
        f"{len(rows):,} images of {len(set(labels)):,} emoji, {TARGET.stat().st_size / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    main()
