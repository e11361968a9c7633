"""Tests that every quotation stands in the paper, at the place that it names."""

import re
import unicodedata

import pytest

from tests.paper.test_tables import TEXT, needs_text
from xbmlib import paper
from xbmlib.paper import claims, quotations, stated
from xbmlib.paper.arms import MEMORY, NO_MEMORY
from xbmlib.paper.disagreements import DISAGREEMENTS
from xbmlib.paper.quotations import Quotation
from xbmlib.paper.stated import Rise, Stated

MARKUP = (
    (r"\*\*?([^*\n]+)\*\*?", r"\1"),
    (r"\$", ""),
    (r"\\rightarrow", "→"),
    (r"\\mathbb\{(\w)\}", r"\1"),
    (r"[\^_]\{(-?\w+)\}", r"\1"),
    (r"R_?M\b", "R_M"),
    (r"\\%", "%"),
    (r"\s+", " "),
)
HEADING = re.compile(r"^(\d)\.(?:(\d)\.)? [A-Z].*$", re.M)


def members(value):
    """The values under one name of a module."""
    return value.values() if isinstance(value, dict) else value if type(value) is tuple else [value]


QUOTES = {
    f"{name} {i}": quote
    for module in (stated, quotations)
    for name, value in vars(module).items()
    for i, quote in enumerate(members(value))
    if isinstance(quote, Stated | Rise | Quotation)
} | {claim.name: claim for claim in claims.CLAIMS}


def plain(text):
    """The text as it looks in print."""
    for pattern, replacement in MARKUP:
        text = re.sub(pattern, replacement, text)
    return unicodedata.normalize("NFKC", text)


def places():
    """Text of every section, the abstract, and the captions of figures and tables."""
    raw = TEXT.read_text(encoding="utf-8")
    body = raw[: raw.index("\nReferences\n")]
    heads = list(HEADING.finditer(body))
    ends = [head.start() for head in heads[1:]] + [len(body)]
    out = {"Abstract": body[: heads[0].start()]}
    for head, end in zip(heads, ends, strict=True):
        out["Section " + ".".join(filter(None, head.groups()))] = body[head.end() : end]
    for kind, number, caption in re.findall(r"^(Figure|Table) (\d)\. (.*)$", body, re.M):
        out[f"{'Fig.' if kind == 'Figure' else kind} {number}"] = caption
    return {name: plain(text) for name, text in out.items()}


def numbers(text):
    """Every number in a text; K is a thousand."""
    words = {"thousands": 1000.0}
    found = [value for word, value in words.items() if word in text]
    for digits, kilo in re.findall(r"(\d[\d,]*(?:\.\d+)?(?:e-\d+)?)([kK]?)\b", text):
        found.append(float(digits.replace(",", "")) * (1000 if kilo else 1))
    return found


def named(where):
    """The places that "Section 3.3, Fig. 4" names, one by one."""
    return re.findall(r"Abstract|(?:Section|Fig\.|Table) [\d.]*\d", where)


@needs_text
@pytest.mark.parametrize("name", [n for n, quote in QUOTES.items() if quote.text])
def test_quoted_words_stand_where_they_are_said_to(name):
    """Oracle: the text, cut at its headings and captions."""
    quote, found = QUOTES[name], places()
    assert any(quote.text in found[place] for place in named(quote.where))


@pytest.mark.parametrize("name", [n for n, q in QUOTES.items() if isinstance(q, Stated) and q.text])
def test_a_number_is_in_its_words(name):
    """Oracle: the words, parsed by a pattern."""
    quote = QUOTES[name]
    # INFERENCE states its zero without a number.
    assert quote is stated.INFERENCE or quote.value in numbers(quote.text)


def test_a_rise_is_in_its_words():
    """Oracle: the words, parsed by a pattern."""
    rises = [quote for quote in QUOTES.values() if isinstance(quote, Rise)]
    assert len(rises) == 6
    for rise in rises:
        assert f"{rise.before:g}% → {rise.after:g}%" in rise.text.replace(".0%", "%")


def test_rises_are_cells_of_the_tables():
    """Oracle: Tables 1 and 3 to 5; a rise over FastAP is printed in whole percent."""
    for loss, rise in stated.LOSS_RISES.items():
        cells = [paper.LOSSES["SOP", loss, memory]["R@1"] for memory in (NO_MEMORY, MEMORY)]
        assert cells == [rise.before, rise.after]
    for (name, method, measure), rise in stated.OVER_LITERATURE.items():
        rows = [row for found, rows in paper.RECALL.values() if found == name for row in rows]
        before = [row.recall[measure] for row in rows if row.method == method]
        after = [row.recall[measure] for row in rows if row.reference is None]
        assert [int(b) if method == "FastAP" else b for b in before] == [rise.before]
        assert rise.after in after


def test_gains_of_the_abstract_and_of_the_cost():
    """Oracle: differences of Table 1's and Table 2's cells."""
    cells = {
        name: [paper.LOSSES[name, "contrastive", memory][measure] for memory in (NO_MEMORY, MEMORY)]
        for name, measure in (("SOP", "R@1"), ("In-shop", "R@1"), ("VehicleID", "large R@1"))
    }
    gains = [after - before for before, after in cells.values()]
    assert [min(gains), max(gains)] == pytest.approx([gain.value for gain in stated.GAINS])
    first, *_, whole = paper.COST
    assert whole.r1 - first.r1 == pytest.approx(stated.SOP_GAIN_BATCH_64.value)
    assert round(whole.hours - first.hours) == stated.EXTRA_HOURS.value
    assert whole.gigabytes == stated.EXTRA_MEMORY_GB.value
    assert stated.SOP_R1_BATCH_256.value == paper.COST[1].r1
    assert paper.RATIO_R1["In-shop", 0.01].value - paper.RATIO_R1["In-shop", 0.0].value > 20


def test_disagreements_are_those_of_the_paper():
    """Oracle: computed by hand from the printed pages."""
    second = [round(d.second.value, 1) for d in DISAGREEMENTS]
    first = [d.first.value if isinstance(d.first, Stated) else None for d in DISAGREEMENTS]
    assert list(zip(first, second, strict=True)) == [
        (34, 51.9),
        (1000, 595),
        (72_712, 52_712),
        (7_986, 7_982),
        (77.8, 77.4),
        (89.1, 89.4),
        (94.1, 94.0),
        (93.1, 93.2),
        (64.0, 63.9),
        (None, -0.4),
        (None, -0.2),
        (None, -0.1),
        (87, 87.5),
        (86.7, 86.7),
    ]


def test_multi_similarity_on_vehicleid_is_the_same_row_with_two_backbones():
    """Oracle: Table 1's cells against Table 5's, all six."""
    (row,) = (r for r in paper.RECALL[5][1] if r.method == "MS")
    assert paper.LOSSES["VehicleID", "multi_similarity", NO_MEMORY] == row.recall
    assert row.backbone == "BN-Inception"


def test_sop_is_the_sum_of_its_parts_and_each_k_is_a_column():
    """Oracle: addition; the columns of Table 1. In-shop's sum is among the disagreements."""
    sop = paper.PROTOCOLS["SOP"]
    parts = (sop.train, *sop.test.values())
    assert sum(p.images for p in parts) == sop.whole.images
    assert sum(p.classes for p in parts) == sop.whole.classes
    for name, protocol in paper.PROTOCOLS.items():
        printed = {m.rpartition("@")[2] for m in paper.SETS[name]}
        assert printed == {str(k) for k in protocol.ks}


@needs_text
def test_section_4_2_counts_images_and_classes():
    """Oracle: the sentences of Section 4.2, parsed by patterns, pair by pair."""
    found = places()
    # The last line of 4.2 stands under the heading of 4.3.
    text = found["Section 4.2"] + found["Section 4.3"]

    def pair(pattern):
        (groups,) = re.findall(pattern, text)
        return tuple(int(group.replace(",", "")) for group in groups)

    n = r"([\d,]*\d)"
    sop, shop, vehicle = (paper.PROTOCOLS[name] for name in ("SOP", "In-shop", "VehicleID"))
    test, large = sop.test["test"], vehicle.test
    for part, pattern in (
        (sop.whole, rf"contains {n} online product images in {n} cat"),
        (sop.train, rf"we use {n} images \({n} classes\) for training"),
        (test, rf"for training, and {n} im- .*?ages \({n} classes\) for testing"),
        (shop.whole, rf"contains {n} clothing images of {n} classes"),
        (shop.test["query"], rf"query set with {n} images of {n} classes"),
        (vehicle.whole, rf"contains {n} surveillance images of {n} vehicle"),
    ):
        assert (part.images, part.classes) == pair(pattern), pattern
    for part, pattern in (
        (shop.train, rf"we use {n} classes with {n} images as the training set"),
        (shop.test["gallery"], rf"gallery set having {n} classes with {n} images"),
        (vehicle.train, rf"where {n} classes \({n} images\) are used for training"),
        (large["small"], rf"contain {n} classes \({n} images\), "),
        (large["medium"], rf"images\), {n} classes \({n} images\) and"),
        (large["large"], rf"images\) and {n} classes \({n} images\) respectively"),
    ):
        assert (part.classes, part.images) == pair(pattern), pattern


@needs_text
def test_the_text_states_no_learning_rate():
    """Oracle: the text, which mentions it once, with no number."""
    whole = " ".join(places().values())
    assert re.findall(r".{7}learning rate.{10}", whole) == ["en the learning rate decreases"]


def test_a_claim_is_quoted_with_its_place():
    """Oracle: the expected string."""
    assert claims.DRIFT_SMALL.quoted == '"The feature drift is consistently small" (Section 3.2)'
