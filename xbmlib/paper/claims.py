"""What the paper claims in words alone, in the order of the sections; numbers are in `stated`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper that gives no number.

    Attributes:
        text: as printed.
        where: its place in the paper.
    """

    text: str
    where: str

    @property
    def quoted(self) -> str:
        """The words in quotation marks, with their place."""
        return f'"{self.text}" ({self.where})'


LARGER_BATCH_HELPS = Claim(
    "R@1s of various pair-based methods are increased considerably by using a larger mini-batch",
    "Section 3.1, Fig. 1 left and middle",
)
WEIGHTING_HELPS_SMALL_BATCHES = Claim(
    "with a small mini-batch (e.g. 16 or 32), the sophisticated weighting schemes can perform "
    "much better",
    "Section 3.1, Fig. 1 left",
)
SLOW_DRIFT = Claim(
    "the embeddings of instances can drift very slowly, resulting in marginal differences between "
    "the features computed at different training iterations",
    "Section 3.2",
)
DRIFT_SMALL = Claim("The feature drift is consistently small", "Section 3.2")
DRIFT_EARLY = Claim("the features change drastically at the early phase", "Section 3.2")
DRIFT_SMALL_OVER_LARGE_DELTA = Claim(
    "drift within a relatively small distance even under a large interval", "Fig. 3"
)
DRIFT_SLOWS_WITH_LEARNING_RATE = Claim(
    "when the learning rate decreases, the drift gets extremely slow", "Section 3.2"
)
GRADIENT_ERROR_BOUNDED = Claim(
    "the error of gradients is controlled by the error of embeddings", "Section 3.2, Lemma 1"
)
NO_EXTRA_COMPUTATION = Claim(
    "our memory module is updated with embeddings of the current mini-batch directly, without any "
    "additional computation",
    "Section 3.3",
)
NEGATIVES_THROUGHOUT = Claim(
    "Throughout the training procedure, our memory module steadily contributes", "Section 3.3"
)
INITIAL_MEMORY = Claim(
    "the features of a set of randomly sampled training images with the warm-up model",
    "Section 3.3",
)
BACKBONE = Claim(
    "we adopt GoogleNet [33] as the default backbone network if not mentioned", "Section 4.1"
)
WEIGHTS = Claim(
    "The weights of the backbone were pre-trained on ILSVRC 2012-CLS dataset", "Section 4.1"
)
AUGMENTATION = Claim(
    "Random crops and random flips are utilized as data augmentation", "Section 4.1"
)
TEST_CROP = Claim(
    "the single center crop to compute the embedding for each instance", "Section 4.1"
)
OPTIMISER = Claim("In all experiments, we use the Adam optimizer", "Section 4.1")
SAMPLER = Claim("the PK sampler (P categories, K samples/category)", "Section 4.1")
SMALL_RATIO_HELPS = Claim(
    "our XBM can boost the contrastive loss largely with small R_M", "Section 4.3, Memory Ratio"
)
SATURATION = Claim(
    "its performance is going to be saturated when the memory expands to a moderate size",
    "Section 4.3, Memory Ratio",
)
RATIO_MATTERS_LITTLE = Claim(
    "consistent and stable performance improvements with a wide range of memory ratios",
    "Section 4.3, Memory Ratio",
)
BATCH_16_SAVES_MEMORY = Claim("while saving GPU memory considerably", "Section 4.3, Memory Ratio")
BATCH_MATTERS_LITTLE = Claim(
    "with the proposed memory module, the impact of mini-batch size is reduced significantly",
    "Section 4.3, Mini-batch Size",
)
SHUFFLE_AS_GOOD = Claim(
    "XBM augmented contrastive loss is equally effective under random shuffle mini-batch sampler",
    "Fig. 6",
)
EVERY_LOSS_GAINS = Claim(
    "our memory module can improve the original DML approaches significantly and consistently on "
    "all benchmarks",
    "Section 4.3, With General Pair-based DML",
)
MS_GAINS_LESS = Claim(
    "MS loss has a smaller improvement because it weights extremely hard negatives heavily",
    "Section 4.3, With General Pair-based DML",
)
CONTRASTIVE_BEATS_MS = Claim(
    "with our memory module, a simple pair-weighting method (e.g. contrastive loss) can easily "
    "outperform the most sophisticated, state-of-the-art methods such as MS loss [37] by a large "
    "margin",
    "Section 4.3, With General Pair-based DML",
)
SCALES = Claim(
    "our method can be scalable to an extremely large-scale dataset, e.g. with 1 billion samples",
    "Section 4.3, Memory and Computational Cost",
)
SURPASSES_LITERATURE = Claim(
    "our XBM module, with a contrastive loss, can surpass the state-of-the-art methods on all "
    "datasets by a large margin",
    "Section 4.4",
)
LARGER_BATCH_STILL_BETTER = Claim(
    "our method can reach better performance with a larger mini-batch size (Figure 6)",
    "Section 4.4",
)
