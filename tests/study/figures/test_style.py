"""Tests of what all figures share: those of every notebook at profile quick, from stored runs."""

import json
from pathlib import Path

import matplotlib.colors as mpl_colours
import numpy as np
import pytest
from matplotlib.collections import Collection, LineCollection
from matplotlib.container import BarContainer
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

from xbmlib.paper.arms import loss_name
from xbmlib.plots import style
from xbmlib.plots.style import COLOURS, MARKERS, OKABE_ITO
from xbmlib.study import notebook

ROOT = Path(__file__).resolve().parents[3]
CELLS = {
    path.stem: [
        "".join(cell["source"])
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
}
DRAWN = [name for name, cells in CELLS.items() if any("notebook.export" in c for c in cells)]
MILLIMETRES = 25.4
# In print: one column, and the page.
WIDTHS = (85, 175)
ARMS, SETS = ("batch", "memory"), ("hanzi", "emoji", "hangul")
LOSSES = ("contrastive", "triplet", "multi_similarity")


@pytest.fixture(scope="module", params=DRAWN)
def figures(request):
    """Every figure that a notebook exports, taken where it would be written."""
    found = []
    names = {}
    parameters, *cells = CELLS[request.param]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notebook, "export", lambda figure, *_, **__: found.append(figure))
        patch.setattr(notebook, "compare", lambda *_: None)
        patch.setattr(notebook, "conclude", lambda *_: None)
        exec(parameters, names)
        given = {n: value for n, value in names.items() if n != "__builtins__"}
        patch.setattr(notebook, "parameters_of_cells", lambda _: given)
        for cell in cells:
            exec(cell, names)
    yield found
    for figure in found:
        figure.clear()


def artists(figure, kind):
    """The visible artists of a kind."""
    return [artist for artist in figure.findobj(kind) if artist.get_visible()]


def test_figures_fit_a_column_or_the_page_in_readable_text(figures):
    """Oracle: millimetres and points of print: 85 or 175 wide, and no text under 6 pt."""
    assert figures
    for figure in figures:
        with style():
            figure.draw_without_rendering()
        width = figure.get_figwidth() * MILLIMETRES
        assert any(abs(width - w) < 0.1 for w in WIDTHS), width
        assert figure.get_figheight() * MILLIMETRES <= 240
        texts = [text for text in artists(figure, Text) if text.get_text().strip()]
        small = [(t.get_text(), t.get_fontsize()) for t in texts if t.get_fontsize() < 6]
        assert small == []
        outside = [t.get_text() for t in labels(figure) if not inside(t, figure.bbox.padded(2))]
        assert outside == []


def labels(figure):
    """Titles, names of axes, and the texts of legends and within the axes: all but the ticks'."""
    found = [text for legend in figure.findobj(Legend) for text in legend.get_texts()]
    for ax in figure.axes:
        titles = (ax.title, ax._left_title, ax._right_title)
        found += [*titles, ax.xaxis.label, ax.yaxis.label, *ax.texts]
    return [text for text in found if text.get_visible() and text.get_text()]


def inside(text, box):
    """Whether a text lies within the figure."""
    extent = text.get_window_extent()
    return box.contains(extent.x0, extent.y0) and box.contains(extent.x1, extent.y1)


def test_colours_are_okabe_and_ito_s_or_grey(figures):
    """Oracle: the palette's eight colours, as published; black, white and greys have no hue."""
    allowed = {mpl_colours.to_hex(colour) for colour in PUBLISHED}
    for figure in figures:
        found = set()
        for line in artists(figure, Line2D):
            colours = line.get_color(), line.get_markerfacecolor(), line.get_markeredgecolor()
            found |= {c for c in colours if not (isinstance(c, str) and c == "none")}
        for patch in artists(figure, Patch):
            found |= {patch.get_facecolor(), patch.get_edgecolor()}
        for collection in artists(figure, Collection):
            found |= {tuple(c) for c in collection.get_facecolor()}
            found |= {tuple(c) for c in collection.get_edgecolor()}
        found |= {text.get_color() for text in artists(figure, Text)}
        visible = {mpl_colours.to_hex(c) for c in found if mpl_colours.to_rgba(c)[3] > 0}
        strange = [c for c in visible - allowed if len({c[1:3], c[3:5], c[5:7]}) > 1]
        assert strange == []


# Okabe and Ito, "Color Universal Design" (2008), in RGB of 0 to 255.
PUBLISHED = np.array(
    [(0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178),
     (213, 94, 0), (204, 121, 167)]
) / 255  # fmt: skip


def test_marks_of_arms_losses_and_sets_keep_their_colour(figures):
    """Oracle: the table of looks: a marker of one of them has its colour, or the paper's grey."""
    meant = {MARKERS[key]: COLOURS[key] for key in (*ARMS, *LOSSES, *SETS, "paper")}
    for figure in figures:
        for line in artists(figure, Line2D):
            if line.get_marker() in meant:
                colour = mpl_colours.to_hex(line.get_color()).upper()
                assert colour in (meant[line.get_marker()], COLOURS["paper"]), line


def test_coloured_lines_and_bars_are_named_for_what_their_colour_means(figures):
    """Oracle: the table of looks: an entry of a legend, and the name of a bar, hold the arm, the
    loss or the set whose colour they have; no line has another colour than the entries.
    """
    for figure in figures:
        named = {"grey"}
        for legend in artists(figure, Legend):
            for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True):
                # A collection of lines is the handle of a curve with bars of its spread.
                if isinstance(handle, (Line2D, LineCollection)):
                    (colour,) = mpl_colours.to_rgba_array(handle.get_color())
                    assert hue(colour) in meant(text.get_text()), text
                    named.add(hue(colour))
        for ax in figure.axes:
            assert {hue(line.get_color()) for line in ax.lines} <= named
            for bars in (found for found in ax.containers if isinstance(found, BarContainer)):
                for bar, text in zip(bars, ax.get_yticklabels(), strict=True):
                    assert hue(bar.get_facecolor()) in meant(text.get_text()), text


def hue(colour):
    """A colour in hexadecimal; "grey" for black and all greys."""
    found = mpl_colours.to_hex(colour).upper()
    return found if len({found[1:3], found[3:5], found[5:7]}) > 1 else "grey"


def meant(label):
    """The colours that a line or bar of this name may have: grey, and those of what it names."""
    words = label.replace("no memory", "batch")
    keys = [key for key in (*ARMS, *LOSSES, *SETS) if key in words or loss_name(key) in words]
    return {"grey", *(COLOURS[key] for key in keys)}


def test_a_figure_has_one_legend_without_repetition(figures):
    """Oracle: the legends counted, and the labels in them."""
    for figure in figures:
        legends = artists(figure, Legend)
        assert len(legends) <= 1
        for legend in legends:
            labels = [text.get_text() for text in legend.get_texts()]
            assert len(labels) == len(set(labels)) > 0


def test_panels_are_lettered_and_share_their_range(figures):
    """Oracle: the letters of the alphabet; panels of one measure have one range."""
    for figure in figures:
        panels = figure.axes
        if len(panels) < 2:
            continue
        titles = [ax.get_title(loc="left") for ax in panels]
        assert titles == list("abcdefgh"[: len(panels)])
        heads = {}
        for ax in panels:
            head = heads.setdefault(ax.get_subplotspec().rowspan.start, ax)
            if not ax.yaxis.get_tick_params()["labelleft"]:
                assert ax is not head and ax.get_shared_y_axes().joined(ax, head)
        ranges, left = {}, {}
        for ax in panels:
            row = ax.get_subplotspec().rowspan.start
            # A panel with no label has that of the panel on its left.
            left[row] = ax.get_ylabel() or left.get(row, "")
            ranges.setdefault(left[row], set()).add(ax.get_ylim())
        assert {label: found for label, found in ranges.items() if label and len(found) > 1} == {}


def test_every_look_is_one_thing_s():
    """Oracle: the pairs counted; the palette as published."""
    looks = [(COLOURS[key], MARKERS[key]) for key in (*ARMS, *LOSSES, *SETS)]
    assert len({colour for colour, _ in looks}) == len({marker for _, marker in looks}) == 8
    published = [mpl_colours.to_hex(colour).upper() for colour in PUBLISHED]
    assert sorted(OKABE_ITO.values()) == sorted(published)
    assert {colour for colour, _ in looks} == set(published)
