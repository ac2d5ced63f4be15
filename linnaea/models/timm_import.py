"""timm and torchvision, imported without torch's compiler, which takes longer to load than all else of them."""

import functools
import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

COMPILER, ASKED = "torch._dynamo", "torch._dynamo.utils"


def import_timm() -> ModuleType:
    """Import timm; the compiler is loaded when it is used.

    A file of torchvision imports the compiler for a question that is asked when boxes are pooled, and one of timm to
    keep a function from being compiled. While they are imported, stand-ins take the compiler's place, which do both
    later; whatever else is asked of them loads it.
    """
    if "timm" in sys.modules or COMPILER in sys.modules:
        return importlib.import_module("timm")
    importlib.import_module("torch")
    sys.modules.update({name: _StandIn(name) for name in (COMPILER, ASKED)})
    try:
        return importlib.import_module("timm")
    finally:
        _withdraw()


class _StandIn(ModuleType):
    """A module of the compiler that is not loaded yet."""

    def __getattr__(self, name: str) -> Any:
        if name in LATER:
            return LATER[name]
        if name.startswith("__") and (name != "__path__" or self.__name__ == ASKED):  # it is no package
            raise AttributeError(name)
        _withdraw()
        return getattr(importlib.import_module(self.__name__), name)


def _is_compile_supported(device_type: str) -> Any:
    return importlib.import_module(ASKED).is_compile_supported(device_type)


def _disable(function: Callable[..., Any] | None = None, *given: Any, **more: Any) -> Callable[..., Any]:
    if function is None:
        return functools.partial(_disable_later, given=given, more=more)
    return _disable_later(function, given, more)


def _disable_later(function: Callable[..., Any], given: tuple[Any, ...], more: dict[str, Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def disabled(*arguments: Any, **named: Any) -> Any:
        if COMPILER not in sys.modules:  # nothing is being compiled
            return function(*arguments, **named)
        return importlib.import_module(COMPILER).disable(function, *given, **more)(*arguments, **named)

    return disabled


LATER = {"is_compile_supported": _is_compile_supported, "disable": _disable}


def _withdraw() -> None:
    """Take the stand-ins away, so that whoever imports the compiler from now on loads it."""
    for name in (COMPILER, ASKED):
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]
