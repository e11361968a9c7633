"""Benchmarks of xbmlib: ratios measured in one run of one command, ``python -m benchmarks``."""
