"""Figures that a reader changes by menus, from what is stored: nothing is trained."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xbmlib import plots

# Of a widget's image; a screen has 96 to the inch, and a sharp one twice as many.
DOTS = 192


def explore(draw: Callable[..., Axes | Figure], menus: Mapping[str, Sequence[Any]]) -> None:
    """Show a figure below one menu per choice; a change of a menu plots it anew.

    Where there is no kernel to ask, as in a notebook that papermill has executed, the figure of the
    first choices is shown.

    Args:
        draw: takes one value of each menu, in their order, and returns what it plots.
        menus: name of each menu to its values, or to pairs of a label and a value.
    """
    # Both take long to import, and nothing else here needs them.
    import ipywidgets  # type: ignore[import-untyped]
    from IPython.display import display

    choices = [
        ipywidgets.Dropdown(options=values, description=name) for name, values in menus.items()
    ]
    shown = ipywidgets.Image(format="png")

    def redraw(_: object = None) -> None:
        shown.value, width = _png(draw, [choice.value for choice in choices])
        shown.layout.width = f"{96 * width:.0f}px"

    redraw()
    for choice in choices:
        choice.observe(redraw, "value")
    box = ipywidgets.VBox([ipywidgets.HBox(choices), shown])
    # The image beside the widget is for pages that have no widgets.
    image = base64.b64encode(shown.value).decode()
    display(box._repr_mimebundle_() | {"image/png": image}, raw=True)


def explore_rows(
    draw: Callable[[pd.DataFrame], Axes | Figure],
    data: pd.DataFrame,
    columns: Mapping[str, str],
    every: Sequence[str] = (),
) -> None:
    """:func:`explore` for the rows of a frame that have one value in each of some columns.

    Args:
        draw: takes the rows, of which there may be none, and returns what it plots.
        data: the frame.
        columns: name of each menu to the column whose values it offers.
        every: the columns of which the menu offers all values together too, and first.
    """
    menus = {}
    for name, column in columns.items():
        values = [(str(value), [value]) for value in data[column].unique()]
        everything = [("all", data[column].unique().tolist())] if column in every else []
        menus[name] = everything + values

    def chosen(*values: list[Any]) -> Axes | Figure:
        parts = zip(columns.values(), values, strict=True)
        return draw(data[np.logical_and.reduce([data[name].isin(part) for name, part in parts])])

    explore(chosen, menus)


def _png(draw: Callable[..., Axes | Figure], values: Sequence[Any]) -> tuple[bytes, float]:
    """The file of what ``draw`` plots, and its width in inches."""
    file = BytesIO()
    with plots.style():
        made = draw(*values)
        figure = made if isinstance(made, Figure) else made.get_figure(root=True)
        assert figure is not None
        figure.savefig(file, format="png", dpi=DOTS)
    plt.close(figure)
    return file.getvalue(), figure.get_figwidth()
