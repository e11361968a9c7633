"""Build xbmlib/data/emoji.parquet: emoji in twelve vendors' drawings, in the shape of In-shop.

    python tools/build_emoji.py [FOLDER]

FOLDER holds the packages that emoji_packages.py names, as npm pack leaves them; without it they
are fetched. A class is an emoji that at least two sets draw, told by its Unicode sequence, since
the sets give it different names. Half of the classes are for training; the images of each of the
others are divided into query and gallery.
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
class Picture:
    """A drawing of an emoji, as RGB bytes."""

    rgb: bytes
    vendor: str
    licence: str


def classes(sets: list[icons.IconSet]) -> dict[str, list[Picture]]:
    """Pictures of each emoji that at least two sets draw, by its commonest name."""
    known = icons.identities(sets)
    names: dict[str, dict[str, str]] = defaultdict(dict)
    for icon_set in sets:
        for name in sorted(icon_set.icons):
            plain = icons.plain(name)
            names[known.get(plain, plain)].setdefault(icon_set.vendor, name)
    by_vendor = {icon_set.vendor: icon_set for icon_set in sets}
    drawn: dict[str, list[Picture]] = {}
    for _, chosen in sorted(names.items()):
        if len(chosen) < LEAST:
            continue
        pictures: dict[bytes, Picture] = {}
        for vendor, name in sorted(chosen.items()):
            rgb = by_vendor[vendor].draw(name)
            pictures.setdefault(rgb, Picture(rgb, vendor, by_vendor[vendor].licence))
        counts = Counter(chosen.values())
        title = min(counts, key=lambda name: (-counts[name], name))
        if title in drawn:
            raise SystemExit(f"{title}: the name of two classes")
        drawn[title] = list(pictures.values())
    return _unambiguous(drawn)


def _unambiguous(drawn: dict[str, list[Picture]]) -> dict[str, list[Picture]]:
    """Without blank pictures, and without those that are the same in two classes."""
    times = Counter(picture.rgb for pictures in drawn.values() for picture in pictures)
    kept = {
        name: [p for p in pictures if times[p.rgb] == 1 and p.rgb != p.rgb[:3] * icons.SIDE**2]
        for name, pictures in drawn.items()
    }
    return {name: pictures for name, pictures in kept.items() if len(pictures) >= LEAST}


def split(drawn: dict[str, list[Picture]]) -> list[tuple[Picture, int, str, str]]:
    """(picture, label, name, split) rows; a class of odd size gives one side one more, by lot."""
    draw = random.Random(SEED)
    order = draw.sample(sorted(drawn), len(drawn))
    rows = []
    for label, name in enumerate(order):
        pictures = draw.sample(drawn[name], len(drawn[name]))
        if label < len(order) // 2:
            rows += [(picture, label, name, "train") for picture in pictures]
        else:
            queries = (len(pictures) + draw.randrange(2)) // 2
            rows += [(picture, label, name, "query") for picture in pictures[:queries]]
            rows += [(picture, label, name, "gallery") for picture in pictures[queries:]]
    return rows


def encode(rgb: bytes) -> bytes:
    """WebP bytes of a picture."""
    buffer = io.BytesIO()
    side = (icons.SIDE, icons.SIDE)
    Image.frombytes("RGB", side, rgb).save(buffer, "WEBP", quality=QUALITY, method=6)
    return buffer.getvalue()


def main() -> None:
    """Draw and write."""
    if len(sys.argv) > 1:
        sets = icons.icon_sets(PACKAGES, Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            icons.fetch(PACKAGES, Path(folder))
            sets = icons.icon_sets(PACKAGES, Path(folder))
    rows = split(classes(sets))
    pictures, labels, names, splits = zip(*rows, strict=True)
    tables.write(
        TARGET,
        pa.array([encode(picture.rgb) for picture in pictures], pa.binary()),
        labels,
        name=names,
        vendor=[picture.vendor for picture in pictures],
        licence=[picture.licence for picture in pictures],
        split=splits,
    )
    print(
        f"{len(rows):,} images of {len(set(labels)):,} emoji, {TARGET.stat().st_size / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    main()
