"""Sentences of the paper, as printed; those that its method consists of, in its own order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quotation:
    """Words of the paper.

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


INITIAL_MEMORY = Quotation(
    "the features of a set of randomly sampled training images with the warm-up model",
    "Section 3.3",
)
BACKBONE = Quotation(
    "we adopt GoogleNet [33] as the default backbone network if not mentioned", "Section 4.1"
)
WEIGHTS = Quotation(
    "The weights of the backbone were pre-trained on ILSVRC 2012-CLS dataset", "Section 4.1"
)
AUGMENTATION = Quotation(
    "Random crops and random flips are utilized as data augmentation", "Section 4.1"
)
TEST_CROP = Quotation(
    "the single center crop to compute the embedding for each instance", "Section 4.1"
)
OPTIMISER = Quotation("In all experiments, we use the Adam optimizer", "Section 4.1")
SAMPLER = Quotation("the PK sampler (P categories, K samples/category)", "Section 4.1")
LARGER_BATCH_STILL_BETTER = Quotation(
    "our method can reach better performance with a larger mini-batch size (Figure 6)",
    "Section 4.4",
)
