"""Command `hybridopt devices`."""

from __future__ import annotations

from rich.console import Console

from hybridopt.cli import options
from hybridopt.cli.output import print_json
from hybridopt.execution import available_devices


def command(as_json: options.Json = False) -> None:
    """Show the devices that this build of Aer can use, and how to change the build."""
    names = available_devices()
    if as_json:
        print_json({"devices": list(names), "gpu": "GPU" in names})
        return
    console = Console()
    console.print(f"Aer devices: {', '.join(names)}")
    if "GPU" not in names:
        console.print(
            "To use a GPU (Linux, CUDA), replace the package: run `pip uninstall qiskit-aer`, then "
            "`pip install qiskit-aer-gpu`. Do not install both: they contain the same files."
        )
