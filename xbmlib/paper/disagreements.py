"""Where the paper disagrees with itself: what it says in one place, and what follows elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from xbmlib.paper.arms import MEMORY, NO_MEMORY
from xbmlib.paper.claims import EVERY_LOSS_GAINS, SURPASSES_LITERATURE
from xbmlib.paper.protocols import PROTOCOLS
from xbmlib.paper.quotations import LARGER_BATCH_STILL_BETTER, Quotation
from xbmlib.paper.stated import (
    ENTRIES_AT_1_PERCENT,
    EXTRA_TIME,
    OVER_LITERATURE,
    RATIO_R1_BATCH_64,
    SOP_R1_BATCH_16_MEMORY,
    TRAINING_HOURS,
    Stated,
)
from xbmlib.paper.tables import LOSSES, RECALL, Row


@dataclass(frozen=True)
class Disagreement:
    """Two values of one quantity, one value of two, or a claim and a value that contradicts it.

    Attributes:
        what: the contradiction, in one sentence.
        first: what one place states.
        second: what another states; computed from its cells where it is a difference or a sum.
    """

    what: str
    first: Stated | Quotation
    second: Stated


def _row(number: int, method: str, backbone: str | None = None) -> Row:
    _, rows = RECALL[number]
    (row,) = (r for r in rows if r.method == method and backbone in (None, r.backbone))
    return row


def _cell(row: Row, measure: str) -> float:
    value = row.recall[measure]
    if value is None:
        raise ValueError(f"{row.method} has no {measure}: compare a printed cell")
    return value


def _given_twice(number: int, measure: str) -> Disagreement:
    name, _ = RECALL[number]
    setting = f"{name}, {measure}"
    return Disagreement(
        f"Contrastive with memory and GoogLeNet-512 has two values of {setting}.",
        Stated(LOSSES[name, "contrastive", MEMORY][measure], "Table 1", setting),
        Stated(_cell(_row(number, "Cont. w/ M", "GoogLeNet"), measure), f"Table {number}", setting),
    )


_in_shop = PROTOCOLS["In-shop"]
_parts = (_in_shop.train, *_in_shop.test.values())
_fastap = OVER_LITERATURE["VehicleID", "FastAP", "large R@1"]
_with_memory = [row for row in RECALL[4][1] if row.reference is None]

DISAGREEMENTS: tuple[Disagreement, ...] = (
    Disagreement(
        "The text's extra training time is not the one that Table 2's hours give.",
        EXTRA_TIME,
        Stated(
            round(100 * (TRAINING_HOURS[1.0].value / TRAINING_HOURS[0.0].value - 1), 1),
            "Table 2",
            "percent; SOP, batch 64, R_M = 1",
        ),
    ),
    Disagreement(
        "A memory of 1% holds hundreds of embeddings of SOP, not thousands.",
        ENTRIES_AT_1_PERCENT,
        Stated(PROTOCOLS["SOP"].train.images // 100, "Section 4.2", "1% of SOP's training images"),
    ),
    Disagreement(
        "In-shop has more images than its three parts together.",
        Stated(_in_shop.whole.images, "Section 4.2", "In-shop, images"),
        Stated(sum(p.images for p in _parts), "Section 4.2", "training, query, gallery images"),
    ),
    Disagreement(
        "In-shop has more classes than training and test together.",
        Stated(_in_shop.whole.classes, "Section 4.2", "In-shop, classes"),
        Stated(
            _in_shop.train.classes + _in_shop.test["query"].classes,
            "Section 4.2",
            "training, query classes",
        ),
    ),
    _given_twice(3, "R@1"),
    _given_twice(4, "R@1"),
    _given_twice(5, "small R@1"),
    _given_twice(5, "medium R@1"),
    Disagreement(
        "Contrastive with no memory, batch 64, has two R@1 on SOP.",
        Stated(LOSSES["SOP", "contrastive", NO_MEMORY]["R@1"], "Table 1", "SOP"),
        RATIO_R1_BATCH_64[0.0],
    ),
    Disagreement(
        "With memory a larger batch does better, yet batch 64 does worse than 16 on SOP, unless "
        "R_M differed.",
        LARGER_BATCH_STILL_BETTER,
        Stated(
            round(
                LOSSES["SOP", "contrastive", MEMORY]["R@1"] - SOP_R1_BATCH_16_MEMORY.value,
                1,
            ),
            f"{SOP_R1_BATCH_16_MEMORY.where} and Table 1",
            "points of R@1, SOP, contrastive with memory, batch 16 to 64",
        ),
    ),
    Disagreement(
        "The memory improves every loss on every benchmark, yet not the triplet loss at R@50.",
        EVERY_LOSS_GAINS,
        Stated(
            round(
                LOSSES["In-shop", "triplet", MEMORY]["R@50"]
                - LOSSES["In-shop", "triplet", NO_MEMORY]["R@50"],
                1,
            ),
            "Table 1",
            "points of R@50, In-shop, triplet",
        ),
    ),
    Disagreement(
        "The method surpasses the literature on all data sets, yet not MS at R@10 on In-shop.",
        SURPASSES_LITERATURE,
        Stated(
            round(
                max(_cell(row, "R@10") for row in _with_memory) - _cell(_row(4, "MS"), "R@10"), 1
            ),
            "Table 4",
            "points of R@10, In-shop, the best with memory over MS",
        ),
    ),
    Disagreement(
        "FastAP's R@1 on VehicleID large is truncated to an integer in the text.",
        Stated(_fastap.before, _fastap.where, "FastAP, VehicleID large", _fastap.text),
        Stated(_cell(_row(5, "FastAP"), "large R@1"), "Table 5", "FastAP, VehicleID large"),
    ),
    Disagreement(
        "MS on VehicleID has the same cells with GoogLeNet (Table 1) and BN-Inception (Table 5).",
        Stated(
            LOSSES["VehicleID", "multi_similarity", NO_MEMORY]["large R@1"], "Table 1", "GoogLeNet"
        ),
        Stated(_cell(_row(5, "MS"), "large R@1"), "Table 5", "BN-Inception"),
    ),
)
