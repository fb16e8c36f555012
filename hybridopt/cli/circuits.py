"""Command `hybridopt circuits`: the content of a circuit file, and the cost of its execution."""

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
FACTS = {  # rows of the table in the terminal
    "description": "{what}", "source": "{origin}", "file": "{source}", "qubits": "{num_qubits}",
    "inputs": "{inputs}", "weights": "{weights}", "observables": "{observables}",
    "angles": "{row_angles} per sample, {shared_angles} shared",
    "settings per sample": "{settings} forward, {gradient_settings} backward",
    "execution": "{explanation}", "notes": "{notes}",
}  # fmt: skip


def command(
    name_or_file: Annotated[
        str | None,
        typer.Argument(help="Circuit of the gallery, or an OpenQASM or QPY file."),
    ] = None,
    inputs: Annotated[
        str | None, opt("Parameters that samples bring: names or globs with commas, `x*,y[0]`.")
    ] = None,
    weights: Annotated[str | None, opt("Parameters that are trained: names or globs.")] = None,
    train: Annotated[str | None, opt("`angles` makes the literal angles weights.")] = None,
    as_json: options.Json = False,
) -> None:
    """List the circuits of the gallery, or show one circuit and its execution."""
    if name_or_file is None:
        if inputs is not None or weights is not None or train is not None:
            raise ArgumentError("`--inputs`, `--weights` and `--train` need a circuit file.")
        content: Any = gallery_dicts()
    else:
        content = summarize(name_or_file, _names(inputs), _names(weights), train)
    if as_json:
        print_json(content)
    elif isinstance(content, list):
        header = ("name", "qubits", "inputs", "weights", "description")
        cells = (map(str, row.values()) for row in content)
        title = "Gallery of circuits"
        Console().print(plain_table(header, cells, title=title, left=(0, 4), no_wrap=(0,)))
    else:
        words = {name: ", ".join(content[name]) or "none" for name in ("inputs", "weights")}
        words |= {name: "\n".join(content[name]) for name in ("observables", "notes")}
        filled = ((word, form.format(**{**content, **words})) for word, form in FACTS.items())
        facts = [(word, text) for word, text in filled if text]
        table = plain_table(("", ""), facts, title=content["name"], left=(0, 1))
        table.show_header, table.columns[0].style = False, "dim"
        Console().print(table)
        Console().print(Text(content["drawing"]), soft_wrap=True)


def summarize(
    name_or_path: str | os.PathLike[str],
    inputs: Sequence[str] | None = None,
    weights: Sequence[str] | None = None,
    train: str | None = None,
) -> dict[str, Any]:
    """Return the content of ``--json`` for a circuit of the gallery or for a file.

    The circuit must be valid for a `CircuitLayer`; it is not run.

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
    settings = layer.program_readout.num_settings
    shifts = sum(len(rule) for table in program.shifts for rule in table)
    measured = [PROBABILITIES] if observables is None else map(format_observable, observables)
    return {
        "name": file.name,
        "source": file.source,
        "what": file.what,  # like origin, from the first comment of the file
        "origin": file.origin,
        "num_qubits": layer.num_qubits,
        "inputs": tuple(parameter.name for parameter in loaded.input_parameters),
        "weights": tuple(parameter.name for parameter in loaded.weight_parameters),
        "observables": tuple(measured),
        "row_angles": program.num_row_angles,  # after decomposition
        "shared_angles": program.num_shared_angles,
        "settings": settings,  # per sample, forward
        "gradient_settings": settings * shifts,  # per sample, with the parameter-shift rule
        "explanation": layer.explain(),
        "notes": loaded.notes,  # on parts of the file that were ignored
        # as a text, the drawing would warn of an ASCII terminal
        "drawing": "\n".join(loaded.circuit.draw("text", fold=FOLD).lines()),
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


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
