"""Cross-Batch Memory for Embedding Learning (CVPR 2020): library and study."""
