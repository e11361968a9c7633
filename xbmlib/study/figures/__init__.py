"""Experiments, tables and verdicts, one module per notebook; :mod:`xbmlib.plots` draws them."""
