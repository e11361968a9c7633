"""Pictures in a grid of places, each in its frame."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from xbmlib.plots.style import COLOURS

SIDE, GAP = 0.84, 0.5  # of a picture, and between blocks, in places


def show(ax: Axes, x: float, y: float, picture: Tensor) -> None:
    """Draw a picture (C, H, W) uint8 with its upper left corner at a place."""
    ax.imshow(
        picture.permute(1, 2, 0).numpy(),
        cmap="gray",
        vmin=0,
        vmax=255,
        extent=(x, x + SIDE, y + SIDE, y),
        interpolation="nearest",
    )


def frame(ax: Axes, x: float, y: float, colour: str, line: Any = "-") -> None:
    """Frame the picture at a place in one of ``COLOURS``."""
    ax.add_patch(
        Rectangle((x, y), SIDE, SIDE, fill=False, ec=COLOURS[colour], ls=line, lw=1.6, zorder=3)
    )


def finish(ax: Axes, width: float, height: float) -> Axes:
    """Show the places [0, width) × [0, height) and nothing else, rows downwards."""
    ax.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    ax.axis("off")
    return ax
