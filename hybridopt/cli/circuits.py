"""Command `hybridopt circuits`: the content of a circuit file, and the cost of its execution."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from hybridopt.circuits import circuit_names, load_circuit
from hybridopt.circuits.loading import circuit_text
from hybridopt.circuits.observable_lines import PROBABILITIES, format_observable
from hybridopt.cli import options
from hybridopt.cli.output import plain_table, print_json
from hybridopt.nn import CircuitLayer

FOLD = 100  # columns of a drawing in text
FACTS = {  # rows of the table in the terminal
    "description": "{what}", "source": "{origin}", "file": "{source}", "qubits": "{num_qubits}",
    "inputs": "{inputs}", "weights": "{weights}", "observables": "{observables}",
    "angles": "{row_angles} per sample, {shared_angles} shared",
    "settings per sample": "{settings} forward, {gradient_settings} backward",
    "execution": "{explanation}",
}  # fmt: skip


def command(
    name_or_file: Annotated[
        str | None,
        typer.Argument(help="Circuit of the gallery, or an OpenQASM 3 file such as `mine.qasm`."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List the circuits of the gallery, or show one circuit and its execution."""
    content = gallery_dicts() if name_or_file is None else summarize(name_or_file)
    if as_json:
        print_json(content)
    elif isinstance(content, list):
        header = ("name", "qubits", "inputs", "weights", "description")
        cells = (map(str, row.values()) for row in content)
        title = "Gallery of circuits"
        Console().print(plain_table(header, cells, title=title, left=(0, 4), no_wrap=(0,)))
    else:
        words = {name: ", ".join(content[name]) or "none" for name in ("inputs", "weights")}
        words["observables"] = "\n".join(content["observables"])
        facts = [(word, form.format(**{**content, **words})) for word, form in FACTS.items()]
        table = plain_table(("", ""), filter(all, facts), title=content["name"], left=(0, 1))
        table.show_header, table.columns[0].style = False, "dim"
        Console().print(table)
        Console().print(Text(content["drawing"]), soft_wrap=True)


def summarize(name_or_path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the content of ``--json`` for a circuit of the gallery or for a file.

    The circuit must be valid for a `CircuitLayer`; it is not run.
    """
    file = circuit_text(name_or_path)
    circuit, inputs, weights, observables = load_circuit(name_or_path)
    layer = CircuitLayer(circuit, inputs, weights, observables)
    program = layer.program
    settings = len(layer.program_readout.settings(program))
    shifts = sum(len(rule) for table in program.shifts for rule in table)
    measured = [PROBABILITIES] if observables is None else map(format_observable, observables)
    return {
        "name": file.name,
        "source": file.source,
        "what": file.what,  # like origin, from the first comment of the file
        "origin": file.origin,
        "num_qubits": layer.num_qubits,
        "inputs": tuple(parameter.name for parameter in inputs),
        "weights": tuple(parameter.name for parameter in weights),
        "observables": tuple(measured),
        "row_angles": program.num_row_angles,  # after decomposition
        "shared_angles": program.num_shared_angles,
        "settings": settings,  # per sample, forward
        "gradient_settings": settings * shifts,  # per sample, with the parameter-shift rule
        "explanation": layer.explain(),
        "drawing": str(circuit.draw("text", fold=FOLD)),
    }


def gallery_dicts() -> list[dict[str, Any]]:
    """Return the content of ``--json`` for the gallery, one dict per circuit."""
    columns = ("name", "num_qubits", "num_inputs", "num_weights", "what")
    rows = []
    for name in circuit_names():
        circuit, inputs, weights, _ = load_circuit(name)
        row = name, circuit.num_qubits, len(inputs), len(weights), circuit_text(name).what
        rows.append(dict(zip(columns, row, strict=True)))
    return rows
