"""The processes ("ranks") that train one model together, and what they exchange."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)

Group = dist.ProcessGroup | None  # None: all processes


class DistributedError(RuntimeError):
    """Processes that do not fit together: names the ranks, what differs and the remedy."""


def start() -> None:
    """Join the processes that ``torchrun`` started: NCCL with a GPU for each, else gloo.

    End with ``torch.distributed.destroy_process_group()``.

    Raises:
        DistributedError: not started by torchrun.
    """
    if not dist.is_torchelastic_launched():
        raise DistributedError(
            "no torchrun: start with `torchrun --nproc-per-node N ...`, or call "
            "torch.distributed.init_process_group yourself"
        )
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def rank_and_size(group: Group = None) -> tuple[int, int]:
    """This process's rank r in the group, and the number of ranks R.

    Raises:
        DistributedError: no process group, or this process is not in it.
    """
    if not dist.is_available() or not dist.is_initialized():
        raise DistributedError(
            "no process group: start with torchrun and call xbmlib.distributed.start() or "
            "torch.distributed.init_process_group first"
        )
    rank = dist.get_rank(group)
    if rank < 0:
        raise DistributedError(
            f"process {dist.get_rank()} is not in this group: call it from its members only"
        )
    return rank, dist.get_world_size(group)


def share(n: int, rank: int, ranks: int) -> slice:
    """A rank's rows of n: contiguous, in the order of the ranks, sizes differing by at most 1."""
    return slice(n * rank // ranks, n * (rank + 1) // ranks)


def all_gather_ints(numbers: Sequence[int], group: Group = None) -> list[list[int]]:
    """The integers of every rank, in the order of the ranks; equally many on all of them."""
    _, ranks = rank_and_size(group)
    local = torch.tensor(numbers, dtype=torch.int64, device=device(group))
    gathered = [torch.empty_like(local) for _ in range(ranks)]
    dist.all_gather(gathered, local, group=group)
    out: list[list[int]] = torch.stack(gathered).tolist()
    return out


def agree(what: str, values: Sequence[object], remedy: str) -> None:
    """Refuse values that are not the same on all ranks.

    Raises:
        DistributedError: on every rank, so that none waits for the others.
    """
    if any(value != values[0] for value in values):
        listed = ", ".join(f"{value} on rank {rank}" for rank, value in enumerate(values))
        raise DistributedError(f"{what}: {listed}; {remedy}")


def code(dtype: torch.dtype) -> int:
    """A number that stands for a dtype when it is sent to other ranks."""
    return DTYPES.index(dtype) if dtype in DTYPES else len(DTYPES)


def decoded(codes: Sequence[int]) -> list[str]:
    """The names of the dtypes that these numbers stand for."""
    return [str((*DTYPES, "another")[number]) for number in codes]


def device(group: Group = None) -> torch.device:
    """The device whose tensors the group's backend exchanges: the CPU if it can."""
    cpu = "cpu:" in dist.get_backend_config(group)
    return torch.device("cpu" if cpu else "cuda")


def all_gather_rows(rows: Tensor, counts: Sequence[int], group: Group = None) -> Tensor:
    """The rows of every rank, in the order of the ranks; the numbers of rows may differ.

    Args:
        rows: (counts[r], ...) on rank r, with the same trailing shape and dtype on all.
        counts: number of rows on every rank.
        group: of the processes.
    """
    most = max(counts)
    padded = rows.contiguous()
    if len(rows) < most:
        padded = torch.cat([rows, rows.new_zeros(most - len(rows), *rows.shape[1:])])
    parts = [torch.empty_like(padded) for _ in counts]
    if padded.numel():
        dist.all_gather(parts, padded, group=group)
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])
