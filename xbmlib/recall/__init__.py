"""Retrieval measures: Recall@K (Section 4.2), MAP@R and R-precision, in bounded memory.

One rule for ties throughout: an image of another class that is as similar to the query as one of
its own class ranks ahead of it. So embeddings that collapse to a point score 0, not 1.
"""

from xbmlib.recall.measures import map_at_r, r_precision, recall_at_k
from xbmlib.recall.nearest import neighbours
from xbmlib.recall.one_per_class import one_per_class

__all__ = ["map_at_r", "neighbours", "one_per_class", "r_precision", "recall_at_k"]
