"""States that are refused before any of them is taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class CheckedState(nn.Module):
    """A module whose state is refused before any of it is taken; a base of the stateful ones."""

    def check_state(self, state: Mapping[str, Any], prefix: str, strict: bool) -> None:
        """Raise where a state does not fit."""
        raise NotImplementedError

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """As :meth:`torch.nn.Module.load_state_dict`; what is refused leaves the module as it was.

        Raises:
            RuntimeError: see :func:`check_state`.
        """
        self.check_state(state_dict, "", strict)
        return super().load_state_dict(state_dict, strict, assign)

    def _load_from_state_dict(
        self, state: dict[str, Any], prefix: str, metadata: Any, strict: bool, *rest: Any
    ) -> None:
        # PyTorch passes strict=True to the parts of a module whatever its caller said, and sorts
        # out missing and unexpected names at the end by itself.
        self.check_state(state, prefix, False)
        super()._load_from_state_dict(state, prefix, metadata, strict, *rest)


def check_state(
    module: nn.Module, state: Mapping[str, Any], prefix: str, *, strict: bool, whole: bool
) -> None:
    """Refuse a state that does not fit a module, before ``load_state_dict`` takes a part of it.

    PyTorch's own check comes last: by then it has copied whatever fits.

    Args:
        module: stays as it is.
        state: by name; only names that begin with ``prefix`` count.
        prefix: of the module's names.
        strict: as of ``load_state_dict``.
        whole: whether to refuse a part of a state even if not strict.

    Raises:
        RuntimeError: names that are missing or unexpected, other shapes, or integers in place of
            floating-point numbers and the reverse.
    """
    expected = module.state_dict(prefix=prefix)
    given = {name: value for name, value in state.items() if name.startswith(prefix)}
    missing = sorted(expected.keys() - given.keys())
    unexpected = sorted(given.keys() - expected.keys())
    faults = []
    if missing and (strict or (whole and given)):
        faults.append(f"without {', '.join(missing)}")
    if unexpected and strict:
        faults.append(f"with {', '.join(unexpected)}")
    for name in expected.keys() & given.keys():
        own, other = expected[name], given[name]
        if isinstance(own, Tensor) and _kind(own) != _kind(other):
            faults.append(f"with {name} {_described(other)} in place of one {_described(own)}")
    if faults:
        raise RuntimeError(
            f"a state {', '.join(faults)} does not fit this {type(module).__name__}, which stays "
            "as it was: make it as the one that was saved"
        )


def _kind(value: Any) -> tuple[object, ...]:
    """What has to agree for one value to take the place of another."""
    if not isinstance(value, Tensor):
        return (type(value),)
    return Tensor, value.shape, value.is_floating_point(), value.is_complex()


def _described(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"of type {type(value).__name__}"
    return f"of {value.dtype} {tuple(value.shape)}"
