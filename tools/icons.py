"""Icon sets of emoji: how they are read and rendered, and which emoji each icon is."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import tarfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import resvg_py
from PIL import Image

SIDE = 64
READ = ("icons.json", "chars.json", "info.json")
# A sequence with a code point for private use is a vendor's own and may mean anything elsewhere.
PRIVATE = range(0xE000, 0xF900)


@dataclass(frozen=True)
class IconSet:
    """One vendor's emoji.

    Attributes:
        vendor: the set's name.
        licence: SPDX identifier of all of its icons.
        icons: SVG body, and width and height where given, by name.
        aliases: other names of the same icon.
        sequences: Unicode sequence to name; empty for some sets.
        size: width and height of icons without their own.
    """

    vendor: str
    licence: str
    icons: dict[str, dict]
    aliases: dict[str, str]
    sequences: dict[str, str]
    size: tuple[int, int]

    def render(self, name: str) -> bytes:
        """RGB bytes of the icon on white, row by row."""
        icon = self.icons[name]
        width, height = icon.get("width", self.size[0]), icon.get("height", self.size[1])
        svg = (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'width="{SIDE}" height="{SIDE}" viewBox="0 0 {width} {height}">{icon["body"]}</svg>'
        )
        png = resvg_py.svg_to_bytes(svg_string=svg, background="white", skip_system_fonts=True)
        return Image.open(io.BytesIO(png)).convert("RGB").tobytes()


def icon_sets(packages: dict[str, tuple[str, str]], folder: Path) -> list[IconSet]:
    """The sets of pinned packages, by name.

    Args:
        packages: name to (version, SHA-256 of the files that are read).
        folder: that npm pack stored them in.

    Raises:
        SystemExit: a package that is missing, or whose contents are not the pinned ones.
    """
    sets = []
    for vendor, (version, sha256) in sorted(packages.items()):
        path = folder / f"iconify-json-{vendor}-{version}.tgz"
        try:
            with tarfile.open(path) as archive:
                parts = [_member(archive, f"package/{name}") for name in READ]
        except (OSError, KeyError, tarfile.TarError) as error:
            raise SystemExit(f"{path}: cannot be read ({error})") from None
        found = hashlib.sha256(b"".join(parts)).hexdigest()
        if found != sha256:
            raise SystemExit(f"{path}: SHA-256 {found}, not {sha256}")
        icons, sequences, info = map(json.loads, parts)
        # A hidden icon is one that its vendor has withdrawn or renamed.
        shown = {name: icon for name, icon in icons["icons"].items() if not icon.get("hidden")}
        # An alias that mirrors its parent is another emoji.
        aliases = {
            name: alias["parent"]
            for name, alias in icons.get("aliases", {}).items()
            if not alias.keys() & {"hFlip", "vFlip", "rotate"}
        }
        size = icons["width"], icons["height"]
        sets.append(IconSet(vendor, info["license"]["spdx"], shown, aliases, sequences, size))
    return sets


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(name)
    if member is None:
        raise KeyError(name)
    return member.read()


def fetch(packages: dict[str, tuple[str, str]], folder: Path) -> None:
    """Download the packages into a folder with npm, without running their scripts."""
    names = [f"@iconify-json/{name}@{version}" for name, (version, _) in packages.items()]
    command = ["npm", "pack", "--silent", "--ignore-scripts", *names]
    if subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=False).returncode:
        raise SystemExit(f"failed: {' '.join(command)}")


def plain(name: str) -> str:
    """A name without vendors' variations: "flag-for-china" and "flag-china" become one."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"^flag-for-(flag-)?", "flag-", name))


def identities(sets: list[IconSet]) -> dict[str, str]:
    """Unicode sequence of each plain name that is known to have one.

    Some sets have a table of sequences. A name that is in none of these gets the sequence of a
    name that some set lists as its alias. Of several sequences the shortest is the plain emoji,
    and the others are variants of it.
    """
    direct, linked = defaultdict(set), defaultdict(set)
    for icon_set in sets:
        for sequence, name in icon_set.sequences.items():
            points = [point for point in sequence.split("-") if point != "fe0f"]
            if not any(int(point, 16) in PRIVATE for point in points):
                direct[plain(name)].add("-".join(points))
    known = {name: _shortest(sequences) for name, sequences in direct.items()}
    for icon_set in sets:
        for pair in icon_set.aliases.items():
            one, other = map(plain, pair)
            for name, twin in ((one, other), (other, one)):
                if name not in known and twin in known:
                    linked[name].add(known[twin])
    return known | {name: _shortest(sequences) for name, sequences in linked.items()}


def _shortest(sequences: Iterable[str]) -> str:
    return min(sequences, key=lambda sequence: (len(sequence), sequence))
