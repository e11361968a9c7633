"""Build xbmlib/data/hangul.parquet: Hangul syllables in real typefaces, in the shape of VehicleID.

    python tools/build_hangul.py

6,000 syllables of U+AC00-D7A3 for training, 2,400 for testing, 4 to 13 images each. As VehicleID's
test lists, the small one (800 classes) is part of the medium one (1,600), and that of the large.
"""

from __future__ import annotations

import random
from pathlib import Path

import glyphs
from hangul_packages import PACKAGES

TARGET = Path(__file__).resolve().parent.parent / "xbmlib" / "data" / "hangul.parquet"
TRAIN = 6_000
# Classes of each test list; the split of a row is the smallest list that its class is in.
LISTS = {"small": 800, "medium": 1_600, "large": 2_400}
IMAGES = range(4, 14)
SEED = 2020


def split_of(label: int) -> str:
    """The training set, or the smallest test list that holds the class."""
    if label < TRAIN:
        return "train"
    return next(name for name, size in LISTS.items() if label - TRAIN < size)


def main() -> None:
    """Draw and write."""
    draw = random.Random(SEED)
    faces = glyphs.typefaces(PACKAGES)
    syllables = [chr(c) for c in range(0xAC00, 0xD7A4)]
    draw.shuffle(syllables)
    rows, label = [], 0
    for syllable in syllables:
        if label == TRAIN + LISTS["large"]:
            break
        order = draw.sample(faces, len(faces))
        images = glyphs.draw_class(syllable, order, draw.choice(IMAGES))
        if len(images) >= min(IMAGES):
            rows += [(image, label, syllable, face, split_of(label)) for image, face in images]
            label += 1
    glyphs.write(TARGET, rows)
    print(f"{len(rows):,} images of {label:,} syllables, {TARGET.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
