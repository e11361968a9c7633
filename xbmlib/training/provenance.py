"""Provenance of a run's numbers."""

from __future__ import annotations

import os
import platform
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from xbmlib.storage import CHECKOUT


def provenance(device: torch.device) -> dict[str, Any]:
    """Versions, commit and hardware that a run's numbers come from; never raises."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": platform.machine(),
        # Its sums may round differently from another's.
        "processor": processor(),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "commit": commit(),
    }


def processor() -> str:
    """The processor's name where the system knows it, else its architecture, and its instructions.

    Such as "AMD EPYC, AVX512": torch's kernels, and products in bfloat16, depend on the latter.
    """
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def trained_on(made: dict[str, Any]) -> str:
    """The processor or GPU of a run's provenance; of early runs its architecture alone is known."""
    return made["device"] if made["device"] != "cpu" else made.get("processor", made["machine"])


def commit() -> str | None:
    """The commit of the package's own checkout; None outside of one, or without git."""
    # Another repository that the environment names is not the package's.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--show-toplevel", "HEAD"],
            cwd=CHECKOUT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout.splitlines()
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    # An installed package may lie in some other project's repository.
    if len(found) != 2 or Path(found[0]).resolve() != CHECKOUT:
        return None
    return found[1]
