"""What is set before any test module is imported, and what all of them share."""

import os

import pytest
import torch

from tests.smoke import studied

# Triton reads it once, when it is imported itself.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")


def pytest_collection_modifyitems(items):
    """Files with a slow test start first, so that none is left over for one core at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    """What `python -m xbmlib.study smoke` writes and prints; see :func:`tests.smoke.studied`."""
    base = tmp_path_factory.getbasetemp()
    # Each worker of pytest-xdist has a folder of its own in the folder of the session.
    return studied((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "smoke")
