"""Cross-Batch Memory for Embedding Learning (Wang, Zhang, Huang and Scott, CVPR 2020).

Embeddings drift slowly while a network trains, so those of past mini-batches approximate
those of the current model. :class:`CrossBatchMemory` keeps them in a queue, the losses compare a
mini-batch with it, and :class:`XBM` does both in one call. Importing this package imports torch and
no more.

Notation, the paper's throughout:

======  ===========================================================================
m       size of the mini-batch; its embeddings v_i are the anchors
D       dimension of the embeddings, vectors of norm 1
M       size of the memory, in embeddings
N       number of training images
R_M     memory ratio M / N, in [0, 1]
P, K    classes in a mini-batch and images of each, m = P · K; K in Recall@K (R@K) is
        the number of nearest images that are searched for a match
S_ij    similarity v_i · v_j of anchor i and embedding j; a positive pair is of one
        class, a negative pair of two
λ       similarity above which the contrastive loss counts a negative (0.5)
η       margin of the triplet loss (0.1)
α, β,   scales of positives and negatives, and mining margin of the multi-similarity
ε       loss (2, 40, 0.1), whose λ is the similarity that both are measured from
L_i     loss of anchor i; L is their mean (Eq. 1, within the batch; Eq. 4, memory)
w_ij    weight of a pair, abs(dL_i / dS_ij)
f, θ    the network and its parameters; θ^t those at step t
t       step (the paper: iteration), from 0; one step is one update of θ
Δt      age of an embedding in steps; D(x, t; Δt) is its drift (Eq. 2)
C, ε    in Lemma 1 (:mod:`xbmlib.drift`): bound of the gradient's error relative to ε, the
        squared distance of an embedding from its later self
======  ===========================================================================
"""

from importlib import metadata

from xbmlib.losses import ContrastiveLoss, MultiSimilarityLoss, TripletLoss
from xbmlib.queue import CrossBatchMemory
from xbmlib.recall import recall_at_k
from xbmlib.sampler import PKSampler
from xbmlib.xbm import XBM

try:
    __version__ = metadata.version("xbmlib")
except metadata.PackageNotFoundError:
    # A source tree on the path that was never installed has no metadata.
    __version__ = "0+unknown"

__all__ = [
    "XBM",
    "ContrastiveLoss",
    "CrossBatchMemory",
    "MultiSimilarityLoss",
    "PKSampler",
    "TripletLoss",
    "__version__",
    "recall_at_k",
]
