"""Build xbmlib/data/hanzi.parquet: Han characters in real typefaces, in the layout of SOP.

    python tools/build_hanzi.py

10,000 classes from U+4E00-9FA5, 2 to 10 images each, half of the classes for training.
"""

from __future__ import annotations

import random
from pathlib import Path

import glyphs
from han_packages import PACKAGES

TARGET = Path(__file__).resolve().parent.parent / "xbmlib" / "data" / "hanzi.parquet"
CLASSES = 10_000
IMAGES = range(2, 11)
SEED = 2020


def main() -> None:
    """Render and write."""
    rng = random.Random(SEED)
    typefaces = glyphs.typefaces(PACKAGES)
    characters = [chr(c) for c in range(0x4E00, 0x9FA6)]
    rng.shuffle(characters)
    rows, label = [], 0
    for character in characters:
        if label == CLASSES:
            break
        order = rng.sample(typefaces, len(typefaces))
        images = glyphs.render_class(character, order, rng.choice(IMAGES))
        if len(images) >= min(IMAGES):
            split = "train" if label < CLASSES // 2 else "test"
            rows += [(image, label, character, face, split) for image, face in images]
            label += 1
    glyphs.write(TARGET, rows)
    print(f"{len(rows):,} images of {label:,} characters, {TARGET.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
