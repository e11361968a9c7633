"""Provenance of a run's numbers."""

from __future__ import annotations

import platform
import subprocess
from typing import Any

import torch

from xbmlib.storage import ROOT


def provenance(device: torch.device) -> dict[str, Any]:
    """Versions, commit and hardware that a run's numbers come from."""
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "commit": commit.stdout.strip() or None,
    }
