"""Build xbmlib/data/hangul.parquet: Hangul syllables in real typefaces, in VehicleID's layout.

    python tools/build_hangul.py

6,000 syllables of U+AC00-D7A3 for training, 2,400 for testing, 4 to 13 images each. As with
VehicleID's test lists, the large one contains the medium one (1,600 classes), and that the small
one (800).
"""

from __future__ import annotations

import random
from pathlib import Path

import glyphs
from hangul_packages import PACKAGES

TARGET = Path(__file__).resolve().parent.parent / "xbmlib" / "data" / "hangul.parquet"
TRAIN = 6_000
# Classes of each test list; the split of a row is the smallest list that contains its class.
LISTS = {"small": 800, "medium": 1_600, "large": 2_400}
IMAGES = range(4, 14)
SEED = 2020


def split_of(label: int) -> str:
    """ "train", or the smallest test list that contains the class."""
    if label < TRAIN:
        return "train"
    return next(name for name, size in LISTS.items() if label - TRAIN < size)


def main() -> None:
    """Render and write."""
    rng = random.Random(SEED)
    typefaces = glyphs.typefaces(PACKAGES)
    syllables = [chr(c) for c in range(0xAC00, 0xD7A4)]
    rng.shuffle(syllables)
    rows, label = [], 0
    for syllable in syllables:
        if label == TRAIN + LISTS["large"]:
            break
        order = rng.sample(typefaces, len(typefaces))
        images = glyphs.render_class(syllable, order, rng.choice(IMAGES))
        if len(images) >= min(IMAGES):
            rows += [(image, label, syllable, face, split_of(label)) for image, face in images]
            label += 1
    glyphs.write(TARGET, rows)
    print(f"{len(rows):,} images of {label:,} syllables, {TARGET.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
