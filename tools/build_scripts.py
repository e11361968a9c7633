"""Build xbmlib/data/scripts.parquet: letters of other scripts, for pretraining.

    python tools/build_scripts.py

What ImageNet is to the paper, this set is to the embedded study: other pictures, of classes that
nothing measures. No Han character, no Hangul, no emoji.
"""

from __future__ import annotations

import random
import re
import unicodedata
from pathlib import Path

import glyphs
import han_packages
import script_packages

TARGET = Path(__file__).resolve().parent.parent / "xbmlib" / "data" / "scripts.parquet"
MOST, LEAST = 10, 3
TEST_SHARE = 0.1
SEED = 2020

# Letters that are another letter in a style of its own, and what other sets measure.
SKIPPED = re.compile(
    r"CJK|HANGUL|MATHEMATICAL|FULLWIDTH|HALFWIDTH|MODIFIER|PRESENTATION|IDEOGRAPH|TANGUT|LIGATURE"
    r"|DOUBLE-STRUCK|SCRIPT (SMALL|CAPITAL)|BLACK-LETTER"
)
# Weights and widths between the others, and screen versions: nearly the same pictures again.
SKIPPED_FACES = re.compile(
    r"Thin|ExtraLight|ExtraBold|SemiBold|Medium|Condensed|Exp|UI-|Mono|Unicode BMP|LastResort"
)


def letters() -> list[str]:
    """Letters of the Basic Multilingual Plane, by code point."""
    return [
        character
        for character in map(chr, range(0x21, 0xFFF0))
        if unicodedata.category(character) in ("Lu", "Ll", "Lo")
        and not SKIPPED.search(unicodedata.name(character, "CJK"))
    ]


def main() -> None:
    """Draw and write."""
    draw = random.Random(SEED)
    faces = [
        face
        for face in glyphs.typefaces(script_packages.PACKAGES | han_packages.PACKAGES)
        if not SKIPPED_FACES.search(face.path.name)
    ]
    seen: set[tuple[str, bytes]] = set()
    classes = []
    for character in letters():
        able = [face for face in faces if ord(character) in face.characters]
        images = glyphs.draw_class(character, draw.sample(able, len(able)), MOST)
        # Latin A, Greek Alpha and Cyrillic A are one picture: the first of them is the class.
        same = {(face.name, image) for image, face in images}
        if len(images) >= LEAST and not same & seen:
            classes.append((character, images))
        seen |= {
            (face.name, face.draw(character) or b"") for face in able[:: max(1, len(able) // 8)]
        }
        seen |= same
    draw.shuffle(classes)
    rows = []
    for label, (character, images) in enumerate(classes):
        split = "test" if label < TEST_SHARE * len(classes) else "train"
        rows += [(image, label, character, face, split) for image, face in images]
    glyphs.write(TARGET, rows)
    print(f"{len(rows):,} images of {len(classes):,} letters, {TARGET.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
