"""Parts of Markdown pages that follow from results/.

Each stands between ``<!-- NAME: COMMAND -->``, which names the command that writes it, and
``<!-- end of NAME -->``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping


def part(text: str, name: str) -> str:
    """A generated part of a page, as it stands there.

    Args:
        text: the page in Markdown.
        name: of the part.

    Raises:
        ValueError: the marks of the part are not both there.
    """
    begin, end = _marks(text, name)
    return text[begin:end].removesuffix("\n")


def rewrite(text: str, parts: Mapping[str, str]) -> str:
    """A page with its generated parts replaced.

    Args:
        text: the page in Markdown.
        parts: Markdown by the name of the part.

    Raises:
        ValueError: a part whose marks are not both there.
    """
    for name, new in parts.items():
        begin, end = _marks(text, name)
        text = f"{text[:begin]}{new}\n{text[end:]}"
    return text


def _marks(text: str, name: str) -> tuple[int, int]:
    """Where the lines between the marks of a part begin and end; there may be none."""
    begin = re.search(rf"<!-- {re.escape(name)}: [^\n]*-->\n", text)
    end = text.find(f"<!-- end of {name} -->", begin.end()) if begin else -1
    if begin is None or end < 0:
        raise ValueError(
            f"give the part {name!r} its marks in the page, <!-- {name}: COMMAND --> and "
            f"<!-- end of {name} -->"
        )
    return begin.end(), end
