"""Seeds of the noise of local primitives, one per job.

A primitive with a seed repeats its noise in every job, and some of them in every pub or row. The
executor therefore runs copies, each with a seed from its own random stream.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
from qiskit.primitives import (
    BackendEstimatorV2,
    BackendSamplerV2,
    StatevectorEstimator,
    StatevectorSampler,
)
from qiskit_aer.primitives import EstimatorV2 as AerEstimator
from qiskit_aer.primitives import SamplerV2 as AerSampler

from hybridopt.errors import ArgumentError


class Seeding(ABC):
    """Access to the seed of a kind of primitive."""

    one_pub = False  # whether all pubs of a job have the same noise
    always = True  # whether each job gets a seed, also if the user gave none

    @abstractmethod
    def own(self, primitive: Any) -> object:
        """Return the seed that the user gave; None without one."""

    @abstractmethod
    def seeded(self, primitive: Any, seed: int) -> Any:
        """Return a copy of the primitive with another seed."""


class _Reference(Seeding):
    """Qiskit's simulation of state vectors, which takes a generator for all rows of all pubs."""

    def own(self, primitive: Any) -> object:
        return primitive.seed

    def seeded(self, primitive: Any, seed: int) -> Any:
        clone = copy.copy(primitive)
        clone._seed = np.random.default_rng(seed)
        return clone


class _OfAerSampler(_Reference):
    """Aer's sampler, in which a seed gives each row other noise."""

    def own(self, primitive: Any) -> object:
        return primitive.seed or primitive.options.run_options.get("seed_simulator")

    def seeded(self, primitive: Any, seed: int) -> Any:
        clone = copy.copy(primitive)
        clone._seed = seed
        return clone


class _OfAerEstimator(Seeding):
    """Aer's estimator, whose seed is an option of its runs."""

    one_pub = True

    def own(self, primitive: Any) -> object:
        return primitive.options.run_options.get("seed_simulator")

    def seeded(self, primitive: Any, seed: int) -> Any:
        clone = copy.copy(primitive)
        given = {**primitive.options.run_options, "seed_simulator": seed}
        clone._options = replace(primitive.options, run_options=given)
        return clone


class _OfBackend(Seeding):
    """Primitives around the `run` method of a simulator."""

    def own(self, primitive: Any) -> object:
        own = primitive.options.seed_simulator
        known = getattr(primitive.backend, "options", {})
        return known.get("seed_simulator") if own is None else own

    def seeded(self, primitive: Any, seed: int) -> Any:
        clone = copy.copy(primitive)
        clone._options = replace(primitive.options, seed_simulator=seed)
        return clone


class _OfRuntime(Seeding):
    """Primitives of qiskit-ibm-runtime on a simulator."""

    one_pub, always = True, False

    def own(self, primitive: Any) -> object:
        found = primitive.options.simulator.seed_simulator
        return found if isinstance(found, int) else None

    def seeded(self, primitive: Any, seed: int) -> Any:
        clone, options = copy.copy(primitive), copy.copy(primitive.options)
        options.simulator = copy.copy(options.simulator)
        options.simulator.seed_simulator = seed
        set_options(clone, options)
        return clone


class _None(Seeding):
    """Primitives without a known seed, such as those of devices."""

    always = False

    def own(self, primitive: Any) -> object:
        if getattr(primitive, "seed", None) is not None:
            raise ArgumentError(
                "`primitive` must not have a seed of its own, because its noise would be the same "
                f"in every job (got a {type(primitive).__name__} with a seed). Create it without."
            )
        return None

    def seeded(self, primitive: Any, seed: int) -> Any:
        return primitive


_KINDS: tuple[tuple[tuple[type, ...], Seeding], ...] = (
    ((StatevectorSampler, StatevectorEstimator), _Reference()),
    ((BackendSamplerV2, BackendEstimatorV2), _OfBackend()),
    ((AerSampler,), _OfAerSampler()),
    ((AerEstimator,), _OfAerEstimator()),
)


def seeding_of(primitive: Any) -> Seeding:
    """Return the access to the seed of a primitive."""
    for kinds, seeding in _KINDS:
        if isinstance(primitive, kinds):
            return seeding
    options = getattr(primitive, "options", None)
    if hasattr(getattr(options, "simulator", None), "seed_simulator"):
        return _OfRuntime()
    return _None()


def set_options(primitive: Any, options: object) -> None:
    """Replace the options of a primitive."""
    settable = not isinstance(getattr(type(primitive), "options", None), property)
    setattr(primitive, "options" if settable else "_options", options)
