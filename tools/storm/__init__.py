"""A storm of faults over the library: ``python -m tools.storm``, or ``make storm``."""
