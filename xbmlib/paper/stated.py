"""Numbers that the paper's text and figures state."""

from __future__ import annotations

from dataclasses import dataclass

from xbmlib.paper.tables import COST


@dataclass(frozen=True)
class Stated:
    """A number that the paper states.

    Attributes:
        value: as printed; R@K in percent.
        where: its place in the paper.
        text: the words around it, as printed; empty for a table's cell or a curve's point.
        setting: what it was measured on.
    """

    value: float
    where: str
    setting: str
    text: str = ""


@dataclass(frozen=True)
class Rise:
    """Two values of R@1 that a sentence of the paper compares.

    Attributes:
        before: in percent, as printed.
        after: in percent, as printed.
        where: its place in the paper.
        setting: what it was measured on.
        text: the words around it, as printed.
    """

    before: float
    after: float
    where: str
    setting: str
    text: str


# The smallest and the largest gain over three data sets.
GAINS: tuple[Stated, Stated] = (
    Stated(12.0, "Abstract", "In-shop, contrastive, R@1", "improvements of 12%-22.5%"),
    Stated(22.5, "Abstract", "VehicleID large, contrastive, R@1", "improvements of 12%-22.5%"),
)

# Figure 1 (right) and Section 4.3, "Memory Ratio": R@1 against R_M, batch 16, GoogLeNet-512.
# The curves carry no values; these are the ones that the text prints.
RATIO_R1: dict[tuple[str, float], Stated] = {
    ("In-shop", 0.0): Stated(
        52.0, "Section 4.3", "In-shop, contrastive, batch 16", "on In-shop, 52.0%"
    ),
    ("In-shop", 0.01): Stated(
        79.4, "Section 4.3", "In-shop, contrastive, batch 16, R_M = 0.01", "79.4% on recall@1"
    ),
}
SOP_R1_BATCH_16_MEMORY = Stated(
    78.2, "Section 4.3", "SOP, contrastive, batch 16, R_M not stated", "71.7% → 78.2% on recall@1"
)
SOP_R1_BATCH_256 = Stated(
    71.7, "Section 4.3 and Table 2", "SOP, contrastive, batch 256, no memory", "71.7% → 78.2%"
)
SOP_GAIN_16_TO_256 = Stated(
    25.1, "Section 4.3, Mini-batch Size", "SOP, contrastive, no memory, batch 16 to 256", "25.1%"
)
SOP_MEMORY_GAIN_16_TO_256 = Stated(
    3.2, "Section 4.3, Mini-batch Size", "SOP, contrastive with memory, batch 16 to 256", "3.2%"
)
# Table 2: SOP, contrastive, batch 64, R@1 with no memory, with 1% and with 100%.
RATIO_R1_BATCH_64 = {
    row.ratio: Stated(row.r1, "Table 2", f"SOP, contrastive, batch 64, R_M = {row.ratio:g}")
    for row in COST
    if row.batch == 64
}
GAIN_BATCH_16 = Stated(
    20.0, "Section 4.3, Memory Ratio", "three data sets, contrastive, batch 16", "over 20%"
)
# The smallest number that "thousands" allows.
ENTRIES_AT_1_PERCENT = Stated(
    1000, "Section 4.3, Memory Ratio", "R_M = 0.01", "already contains thousands of embeddings"
)

# Figure 3 and Section 3.2.
DRIFT_DELTAS = (10, 100, 1000)
DRIFT_STABLE_AFTER = Stated(
    3000, "Section 3.2", "SOP, GoogLeNet from scratch, contrastive", "within about 3K iterations"
)
WARM_UP = Stated(1000, "Section 3.3", "all data sets", "1k iterations")

# Figure 4 and Section 3.3, "Hard Mining Ability": valid negative pairs per iteration.
VALID_NEGATIVES_MEMORY = Stated(
    1000, "Section 3.3, Fig. 4", "SOP, batch 64, R_M = 1", "about 1,000 hard negative pairs"
)
VALID_NEGATIVES_BATCH = Stated(
    10, "Section 3.3, Fig. 4", "SOP, batch 64", "less than 10 valid pairs"
)

# Table 2: SOP, contrastive, batch 64: hours with no memory and with 100%.
TRAINING_HOURS = {
    row.ratio: Stated(row.hours, "Table 2", f"SOP, contrastive, batch 64, R_M = {row.ratio:g}")
    for row in COST
    if row.batch == 64
}
# Table 2's own hours give 52%.
EXTRA_TIME = Stated(
    34, "Section 4.3, Memory and Computational Cost", "SOP, contrastive, batch 64, R_M = 1", "34%"
)
EXTRA_MEMORY_GB = Stated(
    0.2, "Section 4.3, Memory and Computational Cost", "SOP, R_M = 1, D = 512", "0.2 GB GPU memory"
)
EXTRA_HOURS = Stated(
    1,
    "Section 4.3, Memory and Computational Cost",
    "SOP, contrastive, batch 64, R_M = 1",
    "1 hour extra training time",
)
SOP_GAIN_BATCH_64 = Stated(
    13.5,
    "Section 4.3, Memory and Computational Cost",
    "SOP, contrastive, batch 64, R_M = 1",
    "13.5% performance gain",
)
INFERENCE = Stated(0, "Section 4.3", "all data sets", "XBM does not act in the inference phase")

# Lemma 1: the constant that bounds the gradient's squared error by the embedding's.
LIPSCHITZ = Stated(1, "Section 3.2, Lemma 1", "the backbones used", "C is often less than 1")

# Section 4.3, "With General Pair-based DML"; the rest of Table 1 is in xbmlib.paper.LOSSES.
LOSS_RISES = {
    "contrastive": Rise(
        64.0,
        77.8,
        "Section 4.3",
        "SOP, without and with memory",
        "contrastive loss by 64.0% → 77.8%",
    ),
    "multi_similarity": Rise(
        69.7, 76.2, "Section 4.3", "SOP, without and with memory", "MS loss by 69.7% → 76.2%"
    ),
}
MS_OVER_CONTRASTIVE = Stated(
    16.7, "Section 4.3", "VehicleID large, R@1, MS over contrastive", "16.7% recall@1"
)
CONTRASTIVE_MEMORY_OVER_MS = Stated(
    5.8, "Section 4.3", "VehicleID large, R@1, contrastive with memory over MS", "further 5.8%"
)

# Section 4.1. The text states neither the learning rate and its schedule, nor K of the PK sampler,
# the iterations, λ, η, α, β, or R_M of Tables 1 and 3 to 5.
WEIGHT_DECAY = Stated(5e-4, "Section 4.1", "all data sets, Adam", "5e-4 weight decay")
RESIZED = Stated(256, "Section 4.1", "all data sets", "first resized to 256×256")
CROPPED = Stated(224, "Section 4.1", "all data sets", "cropped to 224×224")
DIM = Stated(512, "Section 4.1", "all data sets", "default embedding dimension is set as 512")
BATCH = Stated(64, "Section 4.4", "Tables 3 to 5", "we only use 64 mini-batch")

# Section 4.4: by data set, the method of Tables 3 to 5 that is surpassed, and the measure.
OVER_LITERATURE = {
    ("SOP", "MIC", "R@1"): Rise(
        77.2, 80.6, "Section 4.4", "ResNet50-128", "MIC [26] by 77.2% → 80.6%"
    ),
    ("In-shop", "MIC", "R@1"): Rise(
        88.2, 91.3, "Section 4.4", "ResNet50-128", "by 88.2% → 91.3% compared to MIC"
    ),
    ("VehicleID", "A-BIER", "large R@1"): Rise(
        81.9, 92.5, "Section 4.4", "GoogLeNet-512", "A-BIER [24] largely by 81.9% → 92.5%"
    ),
    ("VehicleID", "FastAP", "large R@1"): Rise(
        87, 93, "Section 4.4", "ResNet50, 512 and 128", "surpasses the best results by 87% → 93%"
    ),
}
RETRIEVED = Stated(4, "Fig. 7", "images shown of a query", "Top 4 retrieved images")
