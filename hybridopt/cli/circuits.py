"""The command `hybridopt circuits`: content and cost of a circuit file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from hybridopt.circuits import circuit_names, load_circuit
from hybridopt.circuits.loading import circuit_text
from hybridopt.circuits.observable_lines import PROBABILITIES, format_observable
from hybridopt.cli import options
from hybridopt.cli.options import opt
from hybridopt.cli.output import plain_table, print_json
from hybridopt.errors import ArgumentError
from hybridopt.nn import CircuitLayer

FOLD = 100  # columns of a drawing in text
FACTS = {  # for people
    "what": "{what}", "source": "{origin}", "file": "{source}", "qubits": "{num_qubits}",
    "inputs": "{inputs}", "weights": "{weights}", "observables": "{observables}",
    "angles": "{row_angles} of each sample, {shared_angles} shared",
    "settings a sample": "{settings} forward, {gradient_settings} backward",
    "how it is run": "{explanation}", "notes": "{notes}",
}  # fmt: skip


def command(
    name_or_file: Annotated[
        str | None,
        typer.Argument(
            help="Circuit of the gallery, or an OpenQASM 2 or 3 or QPY file such as `mine.qasm`."
        ),
    ] = None,
    inputs: Annotated[
        str | None, opt("Parameters that samples bring: names or globs with commas, `x*,y[0]`.")
    ] = None,
    weights: Annotated[str | None, opt("Parameters that are trained: names or globs.")] = None,
    train: Annotated[str | None, opt("`angles` makes the literal angles weights.")] = None,
    as_json: options.Json = False,
) -> None:
    """List the gallery of circuits; or show one of them, or a file, and how it is run."""
    if name_or_file is None:
        if inputs is not None or weights is not None or train is not None:
            raise ArgumentError("--inputs, --weights and --train need a circuit. Give its file.")
        content: Any = gallery_dicts()
    else:
        content = summarize(name_or_file, _names(inputs), _names(weights), train)
    if as_json:
        print_json(content)
    elif isinstance(content, list):
        table = plain_table("The gallery of circuits")
        table.add_column("name", no_wrap=True)
        for header in ("qubits", "inputs", "weights"):
            table.add_column(header, justify="right")
        table.add_column("what it is")
        for row in content:
            table.add_row(*(Text(str(value)) for value in row.values()))
        Console().print(table)
    else:
        table = plain_table(content["name"], header=False)
        words = {name: ", ".join(content[name]) or "none" for name in ("inputs", "weights")}
        words |= {name: "\n".join(content[name]) for name in ("observables", "notes")}
        for word, form in FACTS.items():
            if value := form.format(**{**content, **words}):
                table.add_row(Text(word, style="dim"), Text(value))
        Console().print(table)
        Console().print(Text(content["drawing"]), soft_wrap=True)


def summarize(
    name_or_path: str | os.PathLike[str],
    inputs: Sequence[str] | None = None,
    weights: Sequence[str] | None = None,
    train: str | None = None,
) -> dict[str, Any]:
    """Return the content of ``--json`` for a circuit of the gallery, or the user's own file.

    A layer is made of it, so all is refused that keeps it from being trained; nothing is run.

    Args:
        name_or_path: Name in the gallery or path, as for `load_circuit`.
        inputs: Names or globs of the inputs.
        weights: Names or globs of the weights.
        train: ``"angles"`` for literal angles as weights.
    """
    file = circuit_text(name_or_path)
    loaded = load_circuit(name_or_path, inputs, weights, train)
    observables = loaded.observables
    layer = CircuitLayer(*loaded, initial=loaded.initial)
    program = layer.program
    settings = len(layer.program_readout.settings(program))
    shifts = sum(len(rule) for table in program.shifts for rule in table)
    measured = [PROBABILITIES] if observables is None else map(format_observable, observables)
    return {
        "name": file.name,
        "source": file.source,
        "what": file.what,  # from the comment at its head, as the origin
        "origin": file.origin,
        "num_qubits": layer.num_qubits,
        "inputs": tuple(parameter.name for parameter in loaded.input_parameters),
        "weights": tuple(parameter.name for parameter in loaded.weight_parameters),
        "observables": tuple(measured),
        "row_angles": program.num_row_angles,  # that differ from sample to sample, after lowering
        "shared_angles": program.num_shared_angles,
        "settings": settings,  # per sample, forward
        "gradient_settings": settings * shifts,  # by the parameter-shift rule
        "explanation": layer.explain(),
        "notes": loaded.notes,  # on parts of the file that were ignored
        "drawing": str(loaded.circuit.draw("text", fold=FOLD)),
    }


def gallery_dicts() -> list[dict[str, Any]]:
    """Return the gallery for machines, one dict per circuit."""
    result = []
    for name in circuit_names():
        circuit, inputs, weights, _ = load_circuit(name)
        counts = {"num_inputs": len(inputs), "num_weights": len(weights)}
        row = {"name": name, "num_qubits": circuit.num_qubits, **counts}
        result.append({**row, "what": circuit_text(name).what})
    return result


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
