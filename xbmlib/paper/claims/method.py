"""Claims of Section 3: larger batches, slow drift, hard negatives."""

from __future__ import annotations

from xbmlib.paper.claims.claim import Claim
from xbmlib.paper.rules import THIS_STUDY, Bar, Rule
from xbmlib.paper.stated import (
    DRIFT_DELTAS,
    DRIFT_STABLE_AFTER,
    INFERENCE,
    LIPSCHITZ,
    SOP_GAIN_16_TO_256,
    VALID_NEGATIVES_BATCH,
    VALID_NEGATIVES_MEMORY,
)

_SHORT, _MIDDLE, _LONG = DRIFT_DELTAS
_STABLE = f"{DRIFT_STABLE_AFTER.value:,.0f} iterations"
_FIG_3 = "SOP, contrastive, batch 64, from scratch"

LARGER_BATCH_HELPS = Claim(
    "R@1s of various pair-based methods are increased considerably by using a larger mini-batch",
    "Section 3.1, Fig. 1 left and middle",
    name="larger_batch_helps",
    judged_on="Fig. 1 left and middle",
    rule=Rule(
        "size",
        "R@1 at batch 256 minus R@1 at batch 16",
        "no memory; three losses on SOP, the contrastive loss on three data sets",
        bars=(
            Bar("SOP, contrastive"),
            Bar("SOP, triplet"),
            Bar("SOP, multi-similarity"),
            Bar("In-shop, contrastive"),
            Bar("VehicleID, contrastive"),
        ),
        sizes=(Bar("SOP, contrastive", SOP_GAIN_16_TO_256.value, source=SOP_GAIN_16_TO_256.where),),
    ),
    stated=(SOP_GAIN_16_TO_256,),
)
WEIGHTING_HELPS_SMALL_BATCHES = Claim(
    "with a small mini-batch (e.g. 16 or 32), the sophisticated weighting schemes can perform "
    "much better",
    "Section 3.1, Fig. 1 left",
    name="weighting_helps_small_batches",
    judged_on="Fig. 1 left",
    rule=Rule(
        "direction",
        "R@1 with the multi-similarity loss minus R@1 with the contrastive loss",
        "SOP, no memory",
        bars=(Bar("batch 16"), Bar("batch 32")),
    ),
)
DRIFT_SMALL = Claim(
    "The feature drift is consistently small",
    "Section 3.2",
    name="drift_small",
    judged_on="Fig. 3",
    rule=Rule(
        "throughout",
        "D at the logged step where it is largest",
        f"{_FIG_3}, whole training",
        bars=(
            Bar(
                f"Δt = {_SHORT}",
                0.1,
                at_most=True,
                source=f"{THIS_STUDY}: a twentieth of D = 2 of unrelated unit vectors",
            ),
        ),
    ),
)
DRIFT_EARLY = Claim(
    "the features change drastically at the early phase",
    "Section 3.2",
    name="drift_early",
    judged_on="Fig. 3",
    rule=Rule(
        "direction",
        f"mean D in the first {_STABLE} minus mean D from there to the first decay of the "
        "learning rate",
        _FIG_3,
        bars=(Bar(f"Δt = {_MIDDLE}"), Bar(f"Δt = {_LONG}")),
    ),
    stated=(DRIFT_STABLE_AFTER,),
)
DRIFT_SMALL_OVER_LARGE_DELTA = Claim(
    "drift within a relatively small distance even under a large interval",
    "Fig. 3",
    name="drift_small_over_large_delta",
    judged_on="Fig. 3",
    rule=Rule(
        "throughout",
        f"D at the logged step after {_STABLE} where it is largest",
        _FIG_3,
        bars=(
            Bar(
                f"Δt = {_LONG}",
                1.0,
                at_most=True,
                source=f"{THIS_STUDY}: D = 2 - 2S, so that an entry's similarity to the current "
                "embedding of its image stays above λ = 0.5",
            ),
        ),
    ),
    stated=(DRIFT_STABLE_AFTER,),
)
DRIFT_SLOWS_WITH_LEARNING_RATE = Claim(
    "when the learning rate decreases, the drift gets extremely slow",
    "Section 3.2",
    name="drift_slows_with_learning_rate",
    judged_on="Fig. 3",
    rule=Rule(
        "size",
        f"mean D from {_STABLE} to the first decay of the learning rate (a division by 10), "
        "divided by mean D over the steps whose whole Δt lies after it",
        _FIG_3,
        bars=tuple(
            Bar(f"Δt = {delta}", 1.0, source=f"{THIS_STUDY}: no change") for delta in DRIFT_DELTAS
        ),
        sizes=tuple(
            Bar(f"Δt = {delta}", 10.0, source=f"{THIS_STUDY}: the factor of the learning rate")
            for delta in DRIFT_DELTAS
        ),
    ),
)
GRADIENT_ERROR_BOUNDED = Claim(
    "the error of gradients is controlled by the error of embeddings",
    "Section 3.2, Lemma 1",
    name="gradient_error_bounded",
    judged_on="Section 3.2, Lemma 1",
    rule=Rule(
        "direction",
        "share of negative pairs whose squared error of the gradient of all parameters θ is below "
        f"{LIPSCHITZ.value:g} × that of the embedding, in percent",
        "contrastive, batch 64, from scratch, every Δt of Fig. 3",
        bars=(Bar("all parameters", 50.0, source=f"{THIS_STUDY}: 'often' is more often than not"),),
        net="GoogLeNet",
    ),
    stated=(LIPSCHITZ,),
)
NO_EXTRA_COMPUTATION = Claim(
    "our memory module is updated with embeddings of the current mini-batch directly, without any "
    "additional computation",
    "Section 3.3",
    name="no_extra_computation",
    judged_on="Algorithm 1",
    rule=Rule(
        "deterministic",
        "with memory minus without: images through the network per update after the memory's "
        "start, parameters at inference",
        "any data set, batch 64, R_M = 1",
        bars=(
            Bar("images per update", at_most=True),
            Bar("parameters at inference", INFERENCE.value, True, INFERENCE.where),
        ),
    ),
    stated=(INFERENCE,),
)
NEGATIVES_THROUGHOUT = Claim(
    "Throughout the training procedure, our memory module steadily contributes",
    "Section 3.3",
    name="negatives_throughout",
    judged_on="Fig. 4",
    rule=Rule(
        "throughout",
        "valid negative pairs per iteration from the memory minus those from the batch, mean of "
        "each tenth of the training after the memory's start, in the tenth where it is smallest",
        "SOP, contrastive, batch 64, R_M = 1",
        bars=(Bar("memory over batch"),),
        sizes=(
            Bar("memory", VALID_NEGATIVES_MEMORY.value, source=VALID_NEGATIVES_MEMORY.where),
            Bar("batch", VALID_NEGATIVES_BATCH.value, True, VALID_NEGATIVES_BATCH.where),
        ),
        size_quantity="from the memory in its smallest tenth, from the batch in its largest",
    ),
    stated=(VALID_NEGATIVES_MEMORY, VALID_NEGATIVES_BATCH),
)

METHOD = (
    LARGER_BATCH_HELPS,
    WEIGHTING_HELPS_SMALL_BATCHES,
    DRIFT_SMALL,
    DRIFT_EARLY,
    DRIFT_SMALL_OVER_LARGE_DELTA,
    DRIFT_SLOWS_WITH_LEARNING_RATE,
    GRADIENT_ERROR_BOUNDED,
    NO_EXTRA_COMPUTATION,
    NEGATIVES_THROUGHOUT,
)
