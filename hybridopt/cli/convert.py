"""Command `hybridopt convert`: saved networks to circuit files and back."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from qiskit import qasm3, qpy
from rich.console import Console
from rich.text import Text
from torch import Tensor, nn

from hybridopt._copies import copy_module
from hybridopt._files import check_writable, write_bytes
from hybridopt.bridges import Bridge, QuantumNetwork, to_classical, to_quantum
from hybridopt.cli import options
from hybridopt.cli.networks import example_inputs, gate_circuits, parsed_options
from hybridopt.cli.options import opt
from hybridopt.cli.output import plain_table, print_files, print_json, writing
from hybridopt.data import dataset_names
from hybridopt.errors import ArgumentError, HybridOptError
from hybridopt.nn.network_spec import build_network, network_file
from hybridopt.storage import load, save
from hybridopt.storage.archive import is_archive
from hybridopt.storage.torch_file import dump
from hybridopt.transfer.pretrained import load_weights


def command(
    source: Annotated[
        Path, typer.Argument(help="State_dict written by torch.save, or a file of this command.")
    ],
    to: Annotated[Path, opt("File to write: a circuit file or a state_dict.")],
    network: Annotated[str | None, opt("Network: `mlp:64-20-10` or `file.py:function`.")] = None,
    bridge: options.BridgeName = "memory",
    option: options.BridgeOptions = None,
    data: Annotated[str | None, opt(f"Dataset of inputs: {', '.join(dataset_names())}.")] = None,
    input_shape: Annotated[str | None, opt("Shape of an input: 64 or 1x8x8.", "--input")] = None,
    seed: Annotated[int, opt("Seed for random inputs.")] = 0,
    qpy: Annotated[Path | None, opt("Additional QPY file to write.")] = None,
    qasm: Annotated[Path | None, opt("Additional OpenQASM 3 file to write.")] = None,
    as_json: options.Json = False,
) -> None:
    """Convert a saved network to a circuit file or back, and report the changes.

    A new circuit runs without shots; the circuit of a file runs with its saved settings. The source
    is never overwritten.
    """
    to_circuit = not is_archive(source)
    _check_targets(source, network, [path for path in (to, qpy, qasm) if path is not None])
    bridge_options = parsed_options(option or ())
    plain, quantum = _read(source, network, seed)
    inputs = example_inputs(plain, data=data, shape=input_shape, seed=seed)
    _outputs(plain, inputs)
    if quantum is None:
        quantum = to_quantum(plain, bridge, **bridge_options)
    conversion = _change(plain, to_classical(quantum, readout="circuit"), quantum, inputs)
    further = circuits_to_write(quantum, qpy, qasm)
    with writing(to.parent):
        if to_circuit:
            save(quantum, to)
        else:
            write_bytes(to, dump(plain.state_dict()))
        written = [str(to), *(str(write_bytes(*file)) for file in further.items())]
    again: nn.Module | None
    if to_circuit:
        again = to_classical(load(to, plain))
    else:
        used = quantum.bridge if isinstance(quantum, QuantumNetwork) else None
        again = to_classical(to_quantum(plain, used)) if isinstance(used, Bridge) else None
    parts = [module for module in quantum.modules() if isinstance(module, QuantumNetwork)]
    outcome = {
        "source": str(source),
        "files": written,
        "direction": "to circuit" if to_circuit else "to weights",
        "bridge": ", ".join(dict.fromkeys(part.bridge_name for part in parts)) or "none",
        "num_weights": sum(part.num_weights for part in parts),
        "num_qubits": max((part.num_qubits for part in parts), default=0),
        "num_angles": sum(part.num_angles for part in parts),
        "conversion": conversion,  # weights and outputs read from the circuit
        "round_trip": _change(plain, again, again, inputs),
    }
    if as_json:
        print_json(outcome)
    else:
        _show(outcome)


def _read(source: Path, network: str | None, seed: int) -> tuple[nn.Module, nn.Module | None]:
    """Return the plain network of a file, and the quantum network if the file contains it."""
    template = None if network is None else build_network(network, None, seed=seed)
    if is_archive(source):
        quantum = load(source, template)
        return to_classical(quantum), quantum
    if template is None:
        raise ArgumentError(
            f"`network` must be given for a state_dict (got {source}, which is not a file of "
            "`hybridopt.save`). Pass `--network mlp:64-20-10` or `--network file.py:function`."
        )
    load_weights(template, source)
    return template, None


def circuits_to_write(
    module: nn.Module, qpy_path: Path | None, qasm_path: Path | None
) -> dict[Path, bytes]:
    """Return the contents of circuit files by path, without writing them.

    A QPY file contains all circuits; an OpenQASM file contains one, whose name is in its path.
    """
    contents: dict[Path, bytes] = {}
    if not (qpy_path or qasm_path):
        return contents
    circuits = gate_circuits(module)
    if not circuits:
        raise ArgumentError("`qpy` and `qasm` must be omitted for a control, which has no circuit.")
    if qpy_path is not None:
        raw = io.BytesIO()
        qpy.dump(list(circuits.values()), raw)
        contents[qpy_path] = raw.getvalue()
    if qasm_path is not None:
        for name, circuit in circuits.items():
            several = f"-{name.replace('[', '-').replace(']', '')}" if len(circuits) > 1 else ""
            path = qasm_path.with_stem(qasm_path.stem + several)
            contents[path] = qasm3.dumps(circuit).encode()
    return contents


def _check_targets(source: Path, network: str | None, targets: Sequence[Path]) -> None:
    taken = {path.resolve() for path in (source, network_file(network)) if path is not None}
    for target in targets:
        if target.resolve() in taken:
            raise ArgumentError(
                f"Output {target} must not be an input or another output. Choose another name."
            )
        check_writable(target)
        taken.add(target.resolve())


@torch.no_grad()
def _outputs(network: nn.Module, inputs: Tensor) -> Tensor:
    """Return outputs in eval mode; raise our error if the inputs do not fit."""
    try:
        outputs = copy_module(network, user="`convert`").eval()(inputs)
    except HybridOptError:
        raise
    except Exception as error:
        raise ArgumentError(
            f"`input` must fit the network {type(network).__name__} (got shape "
            f"{tuple(inputs.shape[1:])}: {error}). Pass another `--input` or `--data`."
        ) from error
    if not isinstance(outputs, Tensor):
        raise ArgumentError(f"The network must return one tensor (got {type(outputs).__name__}).")
    return outputs


def _change(
    before: nn.Module, weights: nn.Module | None, outputs: nn.Module | None, inputs: Tensor
) -> dict[str, float | None]:
    """Return the largest changes of a weight and of an output; None without a network."""
    if weights is None or outputs is None:
        return {"weight": None, "output": None}
    output = _largest({"": _outputs(before, inputs)}, {"": _outputs(outputs, inputs)})
    return {"weight": _largest(before.state_dict(), weights.state_dict()), "output": output}


def _largest(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> float:
    pairs = ((first[name], second[name]) for name in first if first[name].numel())
    return max((float((a.double() - b.double()).abs().max()) for a, b in pairs), default=0.0)


def _show(outcome: Mapping[str, Any]) -> None:
    console = Console()
    console.print(Text("{source} {direction} ({bridge})".format(**outcome)), soft_wrap=True)
    counts = "{num_weights:,} weights, {num_angles:,} angles, {num_qubits} qubits"
    console.print(counts.format(**outcome))
    rows = []
    for name in ("conversion", "round_trip"):
        shown = ("" if v is None else f"{v:.1e}" if v else "0" for v in outcome[name].values())
        rows.append([name.replace("_", " "), *shown])
    console.print(plain_table(("largest change", "weight", "output"), rows))
    print_files(outcome["files"])
