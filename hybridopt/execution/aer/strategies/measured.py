"""Shots that Aer draws itself: noise by trajectories, and registers too wide for probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution.aer.simulator import Load, Simulator
from hybridopt.execution.aer.strategies.base import Piece
from hybridopt.execution.aer.strategies.table import bindings
from hybridopt.execution.aer.translation import Templates, Translated
from hybridopt.execution.job import Job
from hybridopt.execution.sampling import Sampler


class Measured:
    """Every setting is a call of its own, with a seed of its own.

    Args:
        simulator: Runs the circuits; its account has the shots.
        templates: Circuits in the gates of the method, or those that the noise acts on.
    """

    name = "measured"

    def __init__(self, simulator: Simulator, templates: Templates) -> None:
        self._simulator = simulator
        self._templates = templates

    def pieces(self, job: Job, sampler: Sampler | None = None) -> Iterator[Piece]:
        """Setting by setting."""
        program = job.program
        assert isinstance(program, CircuitProgram)
        assert sampler is not None
        settings = job.readout.settings(program)
        circuits = [
            (template, place)
            for template in self._templates.of(program, settings)
            for place in range(len(template.settings))
        ]
        for s, b in np.ndindex(len(job.shared), len(job.rows)):
            shared, rows = np.array([s]), np.array([b])
            binds = bindings(program, job.rows[rows], job.shared[shared])
            values = {parameter: column[0] for parameter, column in binds.items()}
            counts = [
                self._counts(template, place, values, sampler.seed(s, b, number))
                for number, (template, place) in enumerate(circuits)
            ]
            yield Piece(shared, rows, values=job.readout.read_counts(program, counts)[None, None])

    def explain(self, job: Job) -> str:
        """How many calls."""
        return "one call a setting, in which Aer draws every shot"

    def _counts(
        self, template: Translated, place: int, values: Mapping[object, float], seed: int
    ) -> dict[int, int]:
        circuit = template.measuring(place)
        circuit.assign_parameters(
            {key: value for key, value in values.items() if key in circuit.parameters},
            inplace=True,
        )
        options: dict[str, object] = {"shots": self._simulator.shots, "seed_simulator": seed}
        if template.noise_model is not None:
            options["noise_model"] = template.noise_model
        ((data,),) = self._simulator.submit([Load(circuit, 1)], **options)
        return {int(outcome, 16): count for outcome, count in data["counts"].items()}
