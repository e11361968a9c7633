"""Framed images at the places of a grid."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from xbmlib.plots.style import COLOURS

SIDE, GAP = 0.84, 0.5  # side of an image, and gap between blocks, in units of the grid


def show(ax: Axes, x: float, y: float, image: Tensor) -> None:
    """Show an image, (C, H, W) uint8, with its upper left corner at a place."""
    ax.imshow(
        image.permute(1, 2, 0).numpy(),
        cmap="gray",
        vmin=0,
        vmax=255,
        extent=(x, x + SIDE, y + SIDE, y),
        interpolation="nearest",
    )


def frame(ax: Axes, x: float, y: float, colour: str, line: Any = "-") -> None:
    """Frame the image at a place in one of ``COLOURS``."""
    ax.add_patch(
        Rectangle((x, y), SIDE, SIDE, fill=False, ec=COLOURS[colour], ls=line, lw=1.2, zorder=3)
    )


def finish(ax: Axes, width: float, height: float) -> Axes:
    """Limit the Axes to the places [0, width) × [0, height), rows downwards."""
    ax.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    ax.axis("off")
    return ax
