"""Checks of all annotations of the package at run time, for ``--shapes``.

The import hook of jaxtyping decorates every function of the package with ``jaxtyping.jaxtyped``.
That decorator binds the arguments to the signature and checks them twice per call. `jaxtyped`
replaces it: one wrapper of beartype per function, within a context of axis sizes where an
annotation names axes. It finds the same errors for a fourth of the time.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import pkgutil
import random
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType
from typing import Any, TypeAlias, get_args, get_type_hints
from unittest import mock

import jaxtyping
from qiskit.circuit import ParameterVector
from qiskit.circuit.parametertable import ParameterView

# an int is accepted as a float, as in mypy
TYPE_CHECKER = (
    "beartype.beartype(conf=beartype.BeartypeConf("
    "is_pep484_tower=True, violation_type=__import__('jaxtyping').TypeCheckError))"
)
_jaxtyped = jaxtyping.jaxtyped


def _isolate_beartype() -> None:
    """Give beartype, which checks one random item per list, its own random generator."""
    with mock.patch.object(random, "getrandbits", random.Random(0).getrandbits):
        import_module("beartype._check.code.codemain")


def _leaf_modules(package: str, folder: Path) -> Iterator[str]:
    """Yield the names of all modules of a package without importing them."""
    for info in pkgutil.iter_modules([str(folder)], prefix=f"{package}."):
        if info.ispkg:
            yield from _leaf_modules(info.name, folder / info.name.rpartition(".")[2])
        else:
            yield info.name


def _hint(annotation: object, module: dict[str, Any]) -> Any:
    """Return the type that an annotation names; any type where a name is not yet defined."""
    holder = FunctionType((lambda: None).__code__, module)
    holder.__annotations__ = {"value": annotation}
    try:
        return get_type_hints(holder, include_extras=True)["value"]
    except NameError:  # as with jaxtyping
        return Any


def _names_axes(hint: object) -> bool:
    """Return True if a type is, or has as a part, an array with named axes."""
    if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(map(_names_axes, get_args(hint)))


def _copy(function: FunctionType, hints: dict[str, Any]) -> FunctionType:
    """Return a copy of a function with other annotations."""
    copy = FunctionType(
        function.__code__, function.__globals__, function.__name__,
        function.__defaults__, function.__closure__,
    )  # fmt: skip
    functools.update_wrapper(copy, function)
    del copy.__wrapped__
    copy.__kwdefaults__, copy.__annotations__ = function.__kwdefaults__, hints
    return copy


Check: TypeAlias = Callable[[FunctionType], Callable[..., Any]]


def jaxtyped(*, typechecker: Check) -> Callable[[Any], Any]:
    """Return the decorator of functions and dataclasses."""
    return functools.partial(_checked, check=typechecker)


def _checked(thing: Any, check: Check) -> Any:
    """Decorate a function, or the ``__init__`` of a dataclass, with checks of its annotations."""
    if inspect.isclass(thing):
        init = vars(thing).get("__init__")
        if dataclasses.is_dataclass(thing) and init and not hasattr(init, "__wrapped__"):
            thing.__init__ = _checked(init, check)
        return thing
    if inspect.isgeneratorfunction(thing):
        return _jaxtyped(thing, typechecker=check)
    if not thing.__annotations__:
        return thing
    module = thing.__globals__
    hints = {name: _hint(text, module) for name, text in thing.__annotations__.items()}
    call = check(_copy(thing, hints))
    if not any(map(_names_axes, hints.values())):
        return functools.update_wrapper(call, thing)

    @functools.wraps(thing)
    def with_axes(*args, **keywords):
        with _jaxtyped("context"):
            return call(*args, **keywords)

    return with_axes


def check_shapes_at_run_time() -> None:
    """Check the annotations of every module of the package that is imported from now on."""
    spec = find_spec("hybridopt")
    assert spec is not None
    assert spec.origin is not None
    _isolate_beartype()
    for kind in (ParameterVector, ParameterView):  # not registered as sequences by Qiskit
        Sequence.register(kind)
    jaxtyping.jaxtyped = jaxtyped
    modules = list(_leaf_modules("hybridopt", Path(spec.origin).parent))
    jaxtyping.install_import_hook(modules, TYPE_CHECKER)
