"""How many processes can read images ahead, by the shared memory that their batches pass through.

A container has 64 MiB of it unless it is given more, and a batch that finds no room ends the
process that writes it.
"""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path

from xbmlib.storage import StorageError

FOLDER = Path("/dev/shm")
# Batches that each process holds ready (PyTorch's default), and those that are being used.
AHEAD, IN_USE = 2, 2
MOUNT = "mount it for writing (docker run --shm-size=8g)"
MIB = 2**20


def reading_processes(batch_bytes: int) -> int:
    """The number of processes that read images: one per core, or as many as there is room for.

    Args:
        batch_bytes: size of one batch.

    Returns:
        A number of processes; 0 where this process has to read the images itself.

    Warns:
        UserWarning: there is room for fewer than one per core.
    """
    workers, shortage = room_for(batch_bytes)
    if shortage:
        warnings.warn(shortage, stacklevel=2)
    return workers


def room_for(batch_bytes: int, runs: int = 1) -> tuple[int, str]:
    """The number of processes that can read images, and one line where it is below the cores'.

    Args:
        batch_bytes: size of one batch.
        runs: that share the memory, at least 1.

    Returns:
        The number, from 0 to that of the cores; and a sentence, empty where it is the latter.
    """
    wanted = len(os.sched_getaffinity(0))
    if not FOLDER.is_dir():  # another system: its shared memory has no such limit
        return wanted, ""
    if not _writable():
        return 0, f"{FOLDER} cannot be written to: images are read by the run itself; {MOUNT}"
    usage = shutil.disk_usage(FOLDER)
    # The processes of one machine under torchrun share it.
    room = usage.free // (runs * int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    fitting = (room // max(batch_bytes, 1) - IN_USE) // AHEAD
    if fitting >= wanted:
        return wanted, ""
    workers = max(0, fitting)
    return workers, (
        f"{FOLDER} of {usage.total // MIB} MiB has room for the batches of {workers} reading "
        f"processes, not of {wanted}: reading images takes longer; give it more (docker run "
        "--shm-size=8g)"
    )


def require_locks() -> None:
    """Check that processes can share locks, before work that is divided among processes.

    Raises:
        StorageError: the folder that holds the locks cannot be written to.
    """
    if FOLDER.is_dir() and not _writable():
        raise StorageError(
            f"{FOLDER} cannot be written to, and processes that run in parallel share locks there; "
            f"{MOUNT}"
        )


def _writable() -> bool:
    return os.access(FOLDER, os.W_OK | os.X_OK)
