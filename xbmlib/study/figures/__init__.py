"""The experiments, table and verdicts of each figure, a module a notebook."""
