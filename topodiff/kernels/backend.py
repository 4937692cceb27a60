"""Which implementation runs an operation: registry, context manager, environment variable.

An implementation is a table from operation name to function. A table need not be complete: what it
lacks (or cannot do for a device or dtype) goes to the next one in the order of preference, which
ends at ``reference``.
"""

from __future__ import annotations

import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import torch

ENVIRONMENT_VARIABLE = "TOPODIFF_KERNELS"
_PREFERENCE = ("cpu", "triton", "reference")
_NAMES = ("reference", "cpu", "triton", "torch_scatter")


@dataclass(frozen=True)
class Implementation:
    """A table of operations, with the devices and dtypes it serves (empty: all)."""

    name: str
    operations: Mapping[str, Callable]
    devices: frozenset[str] = frozenset()
    dtypes: frozenset[torch.dtype] = frozenset()

    def serves(self, operation: str, device: str, dtype: torch.dtype) -> bool:
        return (
            operation in self.operations
            and (not self.devices or device in self.devices)
            and (not self.dtypes or dtype in self.dtypes)
        )


_loaders: dict[str, Callable[[], Implementation]] = {}
_loaded: dict[str, Implementation | str] = {}
chosen: defaultdict[str, dict[Any, Callable]] = defaultdict(dict)
"""By operation; of each by dtype on the CPU, by device and dtype elsewhere: devices hash slowly."""

_forced: str | None = None


def register(name: str, loader: Callable[[], Implementation]) -> None:
    """Add an implementation; ``loader`` raises ``ImportError`` where it cannot run, saying why."""
    _loaders[name] = loader


def _load(name: str) -> Implementation | str:
    """The implementation, or the reason why there is none."""
    if name not in _loaded:
        if name not in _loaders:
            return f"topodiff has no {name} kernels in this version"
        try:
            _loaded[name] = _loaders[name]()
        except ImportError as error:
            _loaded[name] = str(error)
    return _loaded[name]


def available() -> tuple[str, ...]:
    """Names of the implementations that can run here, ``reference`` first."""
    return tuple(name for name in _NAMES if not isinstance(_load(name), str))


def why_unavailable(name: str) -> str | None:
    """The reason why an implementation cannot run here; ``None`` if it can."""
    _check_name(name)
    found = _load(name)
    return found if isinstance(found, str) else None


def active() -> str:
    """The implementation asked for by :func:`use` or the environment, else the preferred one."""
    if _forced is not None:
        return _forced
    return "cpu" if why_unavailable("cpu") is None else "reference"


@contextmanager
def use(name: str) -> Iterator[None]:
    """Run kernels on the implementation ``name`` inside the ``with`` block, in the whole process.

    Operations that ``name`` does not offer run on the preferred implementation. Gradients of a
    result run on whatever is active when they are computed.

    Raises:
        ValueError: unknown name, or an implementation that cannot run here (with the reason).
    """
    global _forced
    previous = _forced
    _force(name)
    try:
        yield
    finally:
        _forced = previous
        _forget()


def select(operation: str, tensor: torch.Tensor) -> Callable:
    """The function that runs ``operation`` on tensors like ``tensor``."""
    key = tensor.dtype if tensor.is_cpu else (tensor.device, tensor.dtype)
    function = chosen[operation].get(key)
    if function is None:
        function = _search(operation, tensor.device.type, tensor.dtype)
        chosen[operation][key] = function
    return function


def _search(operation: str, device: str, dtype: torch.dtype) -> Callable:
    order = (_forced, *_PREFERENCE) if _forced else _PREFERENCE
    for name in order:
        found = _load(name)
        if isinstance(found, str):
            if name == "cpu" and device == "cpu":
                _warn_once(found)
        elif found.serves(operation, device, dtype):
            return found.operations[operation]
    raise TypeError(f"no implementation of {operation} for {dtype} on {device}")


def _check_name(name: str) -> None:
    if name not in _NAMES:
        raise ValueError(f"unknown kernels {name!r}: expected one of {', '.join(_NAMES)}")


def _force(name: str | None) -> None:
    global _forced
    if name is not None:
        reason = why_unavailable(name)
        if reason is not None:
            raise ValueError(f"kernels {name!r} cannot run here: {reason}")
    _forced = name
    _forget()


def _forget() -> None:
    for table in chosen.values():
        table.clear()


def compiled_module() -> ModuleType | None:
    """The compiled module, for what is no operation on tensors. None where the reference is asked
    for, and where there is no module, which is said once."""
    if _forced == "reference":
        return None
    if (reason := why_unavailable("cpu")) is not None:
        _warn_once(reason)
        return None
    return import_module("topodiff.kernels._cpu")


_warned = False


def _warn_once(reason: str) -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(f"topodiff runs on its slow reference kernels: {reason}", stacklevel=2)


def start_from_environment() -> None:
    """Apply the environment variable ``TOPODIFF_KERNELS``."""
    name = os.environ.get(ENVIRONMENT_VARIABLE)
    if name:
        try:
            _check_name(name)
            _force(name)
        except ValueError as error:
            raise ValueError(f"{ENVIRONMENT_VARIABLE}: {error}") from None
