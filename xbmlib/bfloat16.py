"""Products in bfloat16, which a processor without instructions for them computes in float32.

Of x86 CPUs those with AVX-512 have them or a fast substitute. On others a convolution in bfloat16
takes five to thirteen times as long as one in float32, a product V·Mᵀ up to five times.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

# What the platform calls the processors that are slow without AVX-512.
X86 = ("x86_64", "amd64")
# The products of the backbones, of all that autocast has computed in bfloat16.
PRODUCTS = (torch.conv2d, torch.nn.functional.linear)
# What autocast rounds; what is of another type it leaves alone.
ROUNDED = (torch.float32, torch.bfloat16, torch.float16)


def is_fast(device: torch.device) -> bool:
    """Whether a product in bfloat16 takes no longer than one in float32."""
    if device.type != "cpu" or platform.machine().lower() not in X86:
        return True
    return torch.backends.cpu.get_cpu_capability() == "AVX512"


def autocast(device: torch.device | str, enabled: bool = True) -> AbstractContextManager[Any]:
    """``torch.autocast`` in bfloat16, as fast as the device allows.

    Where products in bfloat16 are slow, ``nn.Conv2d``, ``nn.Linear`` and the functions that they
    call have their arguments rounded to bfloat16, the products summed in float32, and the sums
    rounded to bfloat16: what a processor with instructions for them does, up to the order of the
    sums. Gradients likewise. Everything else is left to torch. What is kept for the backward pass
    takes the room of float32, and a model that computes parts again in the backward pass
    (``torch.utils.checkpoint`` with ``use_reentrant=False``) needs float32 there.
    """
    device = torch.device(device)
    if enabled and not is_fast(device):
        return _summed_in_float32()
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


@contextmanager
def _summed_in_float32() -> Iterator[None]:
    with torch.autocast("cpu", torch.bfloat16), _RoundedProducts():
        yield


class _RoundedProducts(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func not in PRODUCTS or not _to_be_rounded([*args, *kwargs.values()]):
            return func(*args, **kwargs)
        with torch.autocast("cpu", enabled=False):
            rounded = {name: _rounded(value) for name, value in kwargs.items()}
            return func(*map(_rounded, args), **rounded).bfloat16()


def _to_be_rounded(values: Iterable[Any]) -> bool:
    """Whether autocast would round these arguments: not where it is off, or of another type."""
    return (
        torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and all(v.dtype in ROUNDED for v in values if isinstance(v, Tensor))
    )


def _rounded(value: Any) -> Any:
    return value.bfloat16().float() if isinstance(value, Tensor) else value
