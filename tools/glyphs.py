"""Characters rendered in real typefaces, for the builders of the data sets."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import tables
from fontTools.ttLib import TTCollection, TTFont
from PIL import Image, ImageDraw, ImageFont

SIDE = 32
POINTS = 28
LEVELS = 16


@dataclass
class Typeface:
    """One typeface of one font file.

    Attributes:
        package: Debian package that ships it.
        path: the font file.
        index: of the typeface in a collection.
        licence: of the font, as its package's copyright file states it.
    """

    package: str
    path: Path
    index: int
    licence: str
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = self.path.stem + (f"#{self.index}" if self.path.suffix == ".ttc" else "")

    @cached_property
    def characters(self) -> frozenset[int]:
        """Code points that the typeface maps to a glyph."""
        return frozenset(TTFont(self.path, fontNumber=self.index, lazy=True).getBestCmap() or ())

    @cached_property
    def _font(self) -> ImageFont.FreeTypeFont:
        return ImageFont.truetype(
            str(self.path), POINTS, index=self.index, layout_engine=ImageFont.Layout.BASIC
        )

    @cached_property
    def _missing(self) -> bytes | None:
        return self._render("\uffff")

    def render(self, character: str) -> bytes | None:
        """1,024 grey levels, row by row, ink 255; None where the typeface has no such glyph."""
        if ord(character) not in self.characters:
            return None
        image = self._render(character)
        return None if image == self._missing else image

    def _render(self, character: str) -> bytes | None:
        try:
            left, top, right, bottom = self._font.getbbox(character)
            if right <= left or bottom <= top:
                return None
            canvas = Image.new("L", (SIDE, SIDE))
            at = ((SIDE - left - right) / 2, (SIDE - top - bottom) / 2)
            ImageDraw.Draw(canvas).text(
                (round(at[0]), round(at[1])), character, fill=255, font=self._font
            )
        except OSError:
            # Some fonts carry broken hinting programs: "invalid opcode" on some glyphs.
            return None
        grey = np.asarray(canvas, dtype=np.uint16)
        step = 255 // (LEVELS - 1)
        levels = (((grey + step // 2) // step) * step).astype(np.uint8)
        # Fewer than a dozen inked pixels is a mark without its letter, not a character.
        return levels.tobytes() if (levels > 127).sum() >= 12 else None


def typefaces(packages: dict[str, tuple[str, str]]) -> list[Typeface]:
    """Every typeface of the given Debian packages, in a fixed order.

    Args:
        packages: name to (version, licence).

    Raises:
        SystemExit: a package that is missing or of another version.
    """
    faces = []
    missing = [
        f"{name}={version}"
        for name, (version, _) in packages.items()
        if _query("-W", "-f", "${Version}", name) != version
    ]
    if missing:
        raise SystemExit(
            f"install exactly: apt-get install --no-install-recommends {' '.join(missing)}"
        )
    for name, (_, licence) in sorted(packages.items()):
        files = sorted(
            path
            for line in _query("-L", name).splitlines()
            if (path := Path(line)).suffix.lower() in (".ttf", ".otf", ".ttc")
        )
        for path in files:
            count = len(TTCollection(path, lazy=True)) if path.suffix == ".ttc" else 1
            faces += [Typeface(name, path, index, licence) for index in range(count)]
    return faces


def _query(*arguments: str) -> str:
    return subprocess.run(
        ["dpkg-query", *arguments], capture_output=True, text=True, check=False
    ).stdout


def render_class(
    character: str, faces: Iterable[Typeface], most: int
) -> list[tuple[bytes, Typeface]]:
    """Up to ``most`` distinct images of a character, in the order of the typefaces."""
    rendered: dict[bytes, Typeface] = {}
    for face in faces:
        if len(rendered) == most:
            break
        if (image := face.render(character)) is not None:
            rendered.setdefault(image, face)
    return list(rendered.items())


def write(path: Path, rows: list[tuple[bytes, int, str, Typeface, str]]) -> None:
    """Write (image, label, character, typeface, split) rows as Parquet, whole or not at all."""
    images, labels, characters, faces, splits = zip(*rows, strict=True)
    tables.write(
        path,
        pa.array(images, pa.binary(SIDE * SIDE)),
        labels,
        character=characters,
        typeface=[f.name for f in faces],
        licence=[f.licence for f in faces],
        split=splits,
    )
