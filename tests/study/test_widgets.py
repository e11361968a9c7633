"""Tests of figures that a reader changes by menus."""

import base64
from io import BytesIO

import IPython.display
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from ipywidgets.widgets import widget
from PIL import Image

from xbmlib.plots.style import COLUMN
from xbmlib.study import widgets

VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, as pairs of its data and whether these are raw."""
    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda data, raw: shown.append((data, raw)))
    return shown


def children(shown):
    """The menus and the image of the one widget that is displayed."""
    ((data, raw),) = shown
    assert raw
    menus, image = widget._instances[data[VIEW]["model_id"]].children
    assert base64.b64decode(data["image/png"]) == image.value  # for a page without widgets
    return menus.children, image


def test_a_change_of_a_menu_plots_anew(shown):
    """Oracle: the calls, and the colour of the pixels that each is to leave."""
    calls, before = [], plt.get_fignums()

    def draw(name, colour):
        calls.append((name, colour))
        ax = plt.subplots(facecolor=colour)[1]
        ax.axis("off")
        return ax

    colours = [("strong", (1.0, 0.0, 0.0)), ("weak", (0.0, 0.0, 1.0))]
    widgets.explore(draw, {"name": ["a", "b"], "colour": colours})
    menus, image = children(shown)
    assert [menu.description for menu in menus] == ["name", "colour"]
    pixels = np.asarray(Image.open(BytesIO(image.value)).convert("RGB"))
    assert pixels.shape[1] == int(COLUMN * widgets.DOTS) and (pixels == [255, 0, 0]).all()
    menus[1].value = colours[1][1]
    pixels = np.asarray(Image.open(BytesIO(image.value)).convert("RGB"))
    assert (pixels == [0, 0, 255]).all()
    menus[0].value = "b"
    assert calls == [("a", colours[0][1]), ("a", colours[1][1]), ("b", colours[1][1])]
    assert plt.get_fignums() == before


def test_menus_of_columns_choose_rows(shown):
    """Oracle: the rows by hand; where no row has the chosen values, none."""
    data = pd.DataFrame({"loss": ["a", "a", "b"], "n": [1, 2, 2]}, index=[5, 6, 7])
    calls = []

    def draw(rows):
        calls.append(rows.index.tolist())
        return plt.subplots()[1]

    widgets.explore_rows(draw, data, {"the loss": "loss", "n": "n"}, every=["n"])
    (loss, n), _ = children(shown)
    assert [menu.description for menu in (loss, n)] == ["the loss", "n"]
    assert [[label for label, _ in menu.options] for menu in (loss, n)] == [
        ["a", "b"],
        ["all", "1", "2"],
    ]
    n.label = "2"
    loss.label = "b"
    n.label = "1"
    assert calls == [[5, 6], [6], [7], []]
