"""Build xbmlib/data/scripts.parquet: letters of other scripts, for pretraining.

    python tools/build_scripts.py

This set is to the bundled study what ImageNet is to the paper: other images, of classes that are
not evaluated on. No Han character, no Hangul, no emoji.
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

# Letters that are another letter in a different style, and what the other sets evaluate on.
SKIPPED = re.compile(
    r"CJK|HANGUL|MATHEMATICAL|FULLWIDTH|HALFWIDTH|MODIFIER|PRESENTATION|IDEOGRAPH|TANGUT|LIGATURE"
    r"|DOUBLE-STRUCK|SCRIPT (SMALL|CAPITAL)|BLACK-LETTER"
)
# Intermediate weights and widths, and screen versions: nearly identical images.
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
    """Render and write."""
    rng = random.Random(SEED)
    typefaces = [
        face
        for face in glyphs.typefaces(script_packages.PACKAGES | han_packages.PACKAGES)
        if not SKIPPED_FACES.search(face.path.name)
    ]
    seen: set[tuple[str, bytes]] = set()
    classes = []
    for character in letters():
        able = [face for face in typefaces if ord(character) in face.characters]
        images = glyphs.render_class(character, rng.sample(able, len(able)), MOST)
        # Latin A, Greek Alpha and Cyrillic A give one image: the first of them is the class.
        same = {(face.name, image) for image, face in images}
        if len(images) >= LEAST and not same & seen:
            classes.append((character, images))
        seen |= {
            (face.name, face.render(character) or b"") for face in able[:: max(1, len(able) // 8)]
        }
        seen |= same
    rng.shuffle(classes)
    rows = []
    for label, (character, images) in enumerate(classes):
        split = "test" if label < TEST_SHARE * len(classes) else "train"
        rows += [(image, label, character, face, split) for image, face in images]
    glyphs.write(TARGET, rows)
    print(f"{len(rows):,} images of {len(classes):,} letters, {TARGET.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
