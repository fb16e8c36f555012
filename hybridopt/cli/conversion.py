"""Saved networks into circuit files and back, with what the conversion changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hybridopt import _validation
from hybridopt._files import check_writable, write_whole
from hybridopt.bridges import BRIDGES, Bridge, QuantumNetwork, to_classical, to_quantum
from hybridopt.cli.circuit_files import circuits_to_write, write_circuits
from hybridopt.cli.example_inputs import example_inputs
from hybridopt.errors import ArgumentError, HybridOptError
from hybridopt.nn.network_spec import build_network, network_file
from hybridopt.storage import load, save
from hybridopt.storage.archive import is_archive
from hybridopt.transfer.pretrained import load_weights


@dataclass(frozen=True)
class ConversionSettings:
    """What `hybridopt convert` is asked to do.

    Attributes:
        source: A state_dict that `torch.save` wrote, or a file of `hybridopt.save`.
        target: Where the other of the two shall stand.
        network: As `build_network` reads it; needed for a state_dict.
        bridge: By name.
        options: Of the bridge, as texts ``"key=value"``.
        data: Whose test part the outputs are compared on; None draws inputs.
        shape: Of one input, as ``"1x8x8"``; None is told from the network.
        seed: Of the inputs.
        qpy: Where the circuit shall stand as QPY, besides.
        qasm: Where it shall stand as OpenQASM 3, besides.
    """

    source: Path
    target: Path
    network: str | None = None
    bridge: str = "memory"
    options: tuple[str, ...] = ()
    data: str | None = None
    shape: str | None = None
    seed: int = 0
    qpy: Path | None = None
    qasm: Path | None = None


@dataclass(frozen=True)
class Change:
    """The largest change of a weight and of an output; None where there is nothing to compare."""

    weight: float | None
    output: float | None


@dataclass(frozen=True)
class Conversion:
    """What a conversion came to.

    Attributes:
        source: File that was read.
        files: Files that were written.
        direction: ``"to circuit"`` or ``"to weights"``.
        bridge: Name.
        num_weights: M.
        num_qubits: Of the widest circuit.
        num_angles: Of all circuits.
        conversion: The circuit against the network it stands for: weights and outputs as it reads
            them.
        round_trip: There and back again, through the file, against the network.
    """

    source: str
    files: tuple[str, ...]
    direction: str
    bridge: str
    num_weights: int
    num_qubits: int
    num_angles: int
    conversion: Change
    round_trip: Change

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return asdict(self)


def convert(settings: ConversionSettings) -> Conversion:
    """Convert a file; nothing is written before all of it is known to work.

    Raises:
        HybridOptError: If a file or an option cannot be used; the source is never overwritten.
    """
    _check_targets(settings)
    return _to_weights(settings) if is_archive(settings.source) else _to_circuit(settings)


def in_bridge(name: str, options: Sequence[str], network: nn.Module) -> QuantumNetwork:
    """A network in a bridge by name with options as texts ``"key=value"``, run exactly."""
    return to_quantum(network, name, **parsed_options(options))


def parsed_options(options: Sequence[str]) -> dict[str, Any]:
    """Options of a bridge: values are JSON where they can be read so, texts otherwise.

    Raises:
        ArgumentError: If one is not ``key=value``.

    Example:
        >>> parsed_options(["form=full", "num_angles=30", 'keep_classical=["0"]'])
        {'form': 'full', 'num_angles': 30, 'keep_classical': ['0']}
    """
    parsed = {}
    for option in options:
        key, separator, value = option.partition("=")
        if not separator or not key.isidentifier():
            raise ArgumentError(
                f"Option {option!r} is not understood. Write `--option key=value`, such as "
                "`--option form=full`."
            )
        try:
            parsed[key] = json.loads(value)
        except json.JSONDecodeError:
            parsed[key] = value
    return parsed


def _to_circuit(settings: ConversionSettings) -> Conversion:
    if settings.network is None:
        raise ArgumentError(
            f"{settings.source} is no file of `hybridopt.save`. To convert a state_dict, say of "
            "which network: `--network mlp:64-20-10` or `--network file.py:function`."
        )
    network = build_network(settings.network, None, seed=settings.seed)
    load_weights(network, settings.source)
    inputs = _inputs(network, settings)
    quantum = in_bridge(settings.bridge, settings.options, network)
    with_circuit = _change(network, to_classical(quantum, readout="circuit"), quantum, inputs)
    further = circuits_to_write(quantum, settings.qpy, settings.qasm)
    save(quantum, settings.target)
    written = write_circuits(further)
    back = to_classical(load(settings.target, network))
    files = (str(settings.target), *map(str, written))
    round_trip = _change(network, back, back, inputs)
    return _conversion(settings, files, "to circuit", quantum, with_circuit, round_trip)


def _to_weights(settings: ConversionSettings) -> Conversion:
    template = None
    if settings.network is not None:
        template = build_network(settings.network, None, seed=settings.seed)
    quantum = load(settings.source, template)
    network = to_classical(quantum)
    inputs = _inputs(network, settings)
    read = to_classical(quantum, readout="circuit")
    with_circuit = _change(network, read, quantum, inputs)
    round_trip = Change(None, None)
    if isinstance(quantum, QuantumNetwork) and isinstance(quantum.bridge, Bridge):
        again = to_classical(to_quantum(network, quantum.bridge))
        round_trip = _change(network, again, again, inputs)
    further = circuits_to_write(quantum, settings.qpy, settings.qasm)
    state = network.state_dict()
    write_whole(settings.target, lambda stream: torch.save(state, stream))
    files = (str(settings.target), *map(str, write_circuits(further)))
    return _conversion(settings, files, "to weights", quantum, with_circuit, round_trip)


def _conversion(
    settings: ConversionSettings,
    files: tuple[str, ...],
    direction: str,
    module: nn.Module,
    conversion: Change,
    round_trip: Change,
) -> Conversion:
    parts = [m for m in module.modules() if isinstance(m, QuantumNetwork)]
    return Conversion(
        source=str(settings.source),
        files=files,
        direction=direction,
        bridge=", ".join(dict.fromkeys(part.bridge_name for part in parts)) or "none",
        num_weights=sum(part.num_weights for part in parts),
        num_qubits=max((part.num_qubits for part in parts), default=0),
        num_angles=sum(part.num_angles for part in parts),
        conversion=conversion,
        round_trip=round_trip,
    )


def _check_targets(settings: ConversionSettings) -> None:
    if not is_archive(settings.source):
        _validation.choice("bridge", settings.bridge, BRIDGES)
    code = network_file(settings.network)
    targets = [p for p in (settings.target, settings.qpy, settings.qasm) if p is not None]
    for place, target in enumerate(targets):
        if _same(target, settings.source):
            raise ArgumentError(f"{target} is the source, which is never overwritten.")
        if code is not None and _same(target, code):
            raise ArgumentError(
                f"{target} is the file of your network, which is never overwritten. Name another "
                "file to write."
            )
        if any(_same(target, other) for other in targets[:place]):
            raise ArgumentError(f"{target} is named twice as a file to write.")
        check_writable(target)
    parsed_options(settings.options)


def _same(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except OSError:  # one of them is not there yet
        return first.resolve() == second.resolve()


def _inputs(network: nn.Module, settings: ConversionSettings) -> Tensor:
    inputs = example_inputs(network, data=settings.data, shape=settings.shape, seed=settings.seed)
    _outputs(network, inputs)
    return inputs


@torch.no_grad()
def _outputs(network: nn.Module, inputs: Tensor) -> Tensor:
    """In eval mode; refused in words of ours where the network does not take the inputs."""
    try:
        outputs = copy.deepcopy(network).eval()(inputs)
    except HybridOptError:
        raise
    except Exception as error:
        raise ArgumentError(
            f"The network {type(network).__name__} does not take inputs of shape "
            f"{tuple(inputs.shape[1:])} ({error}). Give theirs by `--input`, or `--data`."
        ) from error
    if not isinstance(outputs, Tensor):
        raise ArgumentError(
            f"The network {type(network).__name__} must return one tensor to be compared, but "
            f"returns {type(outputs).__name__}."
        )
    return outputs


def _change(before: nn.Module, weights: nn.Module, outputs: nn.Module, inputs: Tensor) -> Change:
    return Change(
        _largest(before.state_dict(), weights.state_dict()),
        _largest({"": _outputs(before, inputs)}, {"": _outputs(outputs, inputs)}),
    )


def _largest(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> float:
    pairs = ((first[name], second[name]) for name in first if first[name].numel())
    return max((float((a.double() - b.double()).abs().max()) for a, b in pairs), default=0.0)
