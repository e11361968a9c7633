"""Tests of figures that a reader changes by menus."""

import base64
from io import BytesIO

import IPython.display
import matplotlib.pyplot as plt
import numpy as np
from ipywidgets.widgets import widget
from PIL import Image

from xbmlib.plots.style import COLUMN
from xbmlib.study import widgets

VIEW = "application/vnd.jupyter.widget-view+json"


def test_a_change_of_a_menu_plots_anew(monkeypatch):
    """Oracle: the calls, and the colour of the pixels that each is to leave."""
    shown, calls, before = [], [], plt.get_fignums()
    monkeypatch.setattr(IPython.display, "display", lambda data, raw: shown.append((data, raw)))

    def draw(name, colour):
        calls.append((name, colour))
        ax = plt.subplots(facecolor=colour)[1]
        ax.axis("off")
        return ax

    colours = [("strong", (1.0, 0.0, 0.0)), ("weak", (0.0, 0.0, 1.0))]
    widgets.explore(draw, {"name": ["a", "b"], "colour": colours})
    ((data, raw),) = shown
    box = widget._instances[data[VIEW]["model_id"]]
    menus, image = box.children
    assert [menu.description for menu in menus.children] == ["name", "colour"] and raw
    assert base64.b64decode(data["image/png"]) == image.value  # for a page without widgets
    pixels = np.asarray(Image.open(BytesIO(image.value)).convert("RGB"))
    assert pixels.shape[1] == int(COLUMN * widgets.DOTS) and (pixels == [255, 0, 0]).all()
    menus.children[1].value = colours[1][1]
    pixels = np.asarray(Image.open(BytesIO(image.value)).convert("RGB"))
    assert (pixels == [0, 0, 255]).all()
    menus.children[0].value = "b"
    assert calls == [("a", colours[0][1]), ("a", colours[1][1]), ("b", colours[1][1])]
    assert plt.get_fignums() == before
