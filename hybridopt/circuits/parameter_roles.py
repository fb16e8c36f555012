"""Parameters of a circuit as inputs and weights, and its literal angles as weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import translate
from itertools import pairwise
from numbers import Real
from typing import TypeAlias

from qiskit import QuantumCircuit
from qiskit.circuit import ControlledGate, Gate, Parameter, ParameterVector
from qiskit.circuit.library import get_standard_gate_name_mapping

from hybridopt import _validation
from hybridopt.circuits.errors import CircuitError
from hybridopt.errors import ArgumentError

Names: TypeAlias = str | Iterable[str] | Callable[[str], bool]
# `x[3]` of a Qiskit ParameterVector becomes `_x_3_` in qiskit.qasm3.dumps
_ELEMENT = re.compile(r"_(.+)_([0-9]+)_")
_INPUT = re.compile(r"x_?[0-9]+|x\[[0-9]+\]")
_STANDARD = frozenset(gate.base_class for gate in get_standard_gate_name_mapping().values())


def split_parameters(
    parameters: Sequence[Parameter],
    inputs: Names | None,
    weights: Names | None,
    source: str,
) -> tuple[tuple[Parameter, ...], tuple[Parameter, ...]]:
    """Return inputs and weights among the parameters of a circuit.

    Names of each pattern are in natural order: x2 comes before x10.

    Args:
        parameters: Parameters of the circuit.
        inputs: Names or globs of the inputs, or a function that returns whether a name is one.
            None for the parameters that are not weights; if ``weights`` is None, too, x0, x1, ...
            and x[0], x[1], ... are the inputs.
        weights: Names, globs or a function for the weights; None for all other parameters.
        source: Name of the circuit in errors.

    Raises:
        ArgumentError: If a parameter is in both or in neither, or if a name is not found.
        CircuitError: If two inputs have one number, and neither list is given.
    """
    ordered = sorted(parameters, key=lambda p: (_natural(p), p.name))
    if inputs is None and weights is None:
        inputs = _is_input
        for first, second in pairwise(p for p in ordered if _is_input(_shown(p.name))):
            if _natural(first) == _natural(second):
                raise CircuitError(
                    f"{source}: inputs `{first.name}` and `{second.name}` have one number. Give "
                    "`inputs` as a list."
                )
    chosen = [
        None if names is None else _chosen(argument, names, ordered, source)
        for argument, names in (("inputs", inputs), ("weights", weights))
    ]
    first, second = chosen
    if first is None:
        taken = set(second or ())
        first = [p for p in ordered if p not in taken]
    taken = set(first)
    if second is None:
        second = [p for p in ordered if p not in taken]
    both = [p.name for p in second if p in taken]
    taken.update(second)
    neither = [p.name for p in ordered if p not in taken]
    for names, where in ((both, "both"), (neither, "neither")):
        if names:
            raise ArgumentError(
                f"{source}: {', '.join(names)} must be in `inputs` or in `weights` (got {where})."
            )
    return tuple(first), tuple(second)


def angles_as_weights(
    circuit: QuantumCircuit,
) -> tuple[QuantumCircuit, ParameterVector, list[float]]:
    """Return the circuit with its literal angles as parameters ``angle[0]``, ``angle[1]``, ...

    Angles of the circuit's own gates are replaced, in the order of their appearance; constants
    inside definitions of gates stay.

    Returns:
        The circuit, its new parameters, and their values in radians.
    """
    values: list[float] = []
    places: list[tuple[int, list[int]]] = []
    for place, item in enumerate(circuit.data):
        chosen = _literal_angles(item.operation)
        if chosen:
            values += [float(item.operation.params[index]) for index in chosen]
            places.append((place, chosen))
    angles = ParameterVector(_free_name("angle", circuit), len(values))
    replaced = iter(angles)
    new = circuit.copy()
    for place, chosen in places:
        item = circuit.data[place]
        params = list(item.operation.params)
        for index in chosen:
            params[index] = next(replaced)
        new.data[place] = item.replace(operation=with_params(item.operation, params))
    return new, angles, values


def with_params(gate: Gate, params: Sequence[object]) -> Gate:
    """Return a gate of the same kind with other parameters."""
    if type(gate) is ControlledGate:  # made of a gate that has no controlled class
        base = with_params(gate.base_gate, params)
        return base.control(gate.num_ctrl_qubits, ctrl_state=gate.ctrl_state, annotated=False)
    new: Gate = gate.to_mutable() if not gate.mutable else gate.copy()
    if type(gate) is not Gate:
        new._definition = None  # made again with the new parameters
    new.params = list(params)
    return new


def _literal_angles(gate: object) -> list[int]:
    """Return the places of the angles of a gate that are numbers and can be replaced."""
    if not isinstance(gate, Gate) or gate.num_qubits == 0:
        return []
    places = [k for k, angle in enumerate(gate.params) if isinstance(angle, Real)]
    if not places or gate.base_class in _STANDARD:
        return places
    trial = [Parameter(f"#{k}") if k in places else p for k, p in enumerate(gate.params)]
    try:
        definition = with_params(gate, trial).definition
    except Exception:  # noqa: BLE001  # a gate that needs numbers
        return []
    free = set() if definition is None else definition.parameters
    return places if all(trial[k] in free for k in places) else []


def _free_name(name: str, circuit: QuantumCircuit) -> str:
    taken = {re.split(r"[\[_]", p.name.lstrip("_"))[0] for p in circuit.parameters}
    while name in taken:
        name += "_"
    return name


def _chosen(
    argument: str, names: Names, ordered: Sequence[Parameter], source: str
) -> list[Parameter]:
    if callable(names):
        return [p for p in ordered if names(_shown(p.name))]
    patterns = [names] if isinstance(names, str) else list(_validation.items(argument, names))
    exact = {_shown(p.name): p for p in ordered} | {p.name: p for p in ordered}
    chosen: dict[Parameter, None] = {}
    for pattern in patterns:
        _validation.instance(argument, pattern, str, "names, globs, or a function of the name")
        if pattern in exact:
            chosen[exact[pattern]] = None
            continue
        is_match = re.compile(translate(pattern)).match
        found = [p for p in ordered if is_match(p.name) or is_match(_shown(p.name))]
        if not found:
            known = ", ".join(_shown(p.name) for p in ordered) or "none"
            raise ArgumentError(
                f"`{argument}` must name parameters of {source} (got {pattern!r}). "
                f"Available: {known}."
            )
        chosen |= dict.fromkeys(found)
    return list(chosen)


def _is_input(name: str) -> bool:
    return _INPUT.fullmatch(name) is not None


def _shown(name: str) -> str:
    """Return the name of a parameter as Qiskit shows it: ``x[3]`` for ``_x_3_``."""
    match = _ELEMENT.fullmatch(name)
    return f"{match[1]}[{match[2]}]" if match else name


def _natural(parameter: Parameter) -> tuple[tuple[str, int, str], ...]:
    """Return the key of the natural order; x3, x_3, x[3] and _x_3_ are equal."""
    name = re.sub(r"_?\[?([0-9]+)\]?$", r"\1", _shown(parameter.name))
    parts = re.findall(r"([^0-9]*)([0-9]*)", name)
    # numbers of more digits are larger; Python refuses to convert thousands of digits
    digits = ((word, number.lstrip("0"), bool(number)) for word, number in parts if word or number)
    return tuple((word, len(number) if known else -1, number) for word, number, known in digits)
