"""Run-time checks of annotations in the session with ``--shapes``."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

import jaxtyping
import numpy as np
import pytest
import torch
from beartype import BeartypeConf, beartype
from jaxtyping import Float64

from hybridopt.bridges.memory.autograd import read_cosines
from hybridopt.bridges.memory.circuit import split_probabilities
from hybridopt.circuits.multiplexer import walsh_hadamard
from tests.shapes import jaxtyped

decorate = jaxtyped(
    typechecker=beartype(conf=BeartypeConf(violation_type=jaxtyping.TypeCheckError))
)


@decorate
@dataclass(frozen=True)
class Row:
    values: Float64[np.ndarray, " N"]
    number: int = 0

    @property
    @decorate
    def total(self) -> float:
        return self.values if self.number else 0.0

    @decorate
    def times(self, *, factor: float | None = None) -> float:
        return (factor or 1) * 2.0


@decorate
def joined(
    rows: list[Float64[np.ndarray, " N"]], more: tuple[int, Float64[np.ndarray, " N"]]
) -> Float64[np.ndarray, " N"] | None:
    return more[1][: more[0]] if rows else None


@decorate
def counted(count: int) -> Iterator[int]:
    yield from range(count)


@pytest.fixture(autouse=True)
def only_with_shapes(shapes_are_checked):
    if not shapes_are_checked:
        pytest.skip("this session runs the package without checks of annotations")


def test_wrong_shapes_and_dtypes_are_found(monkeypatch):
    with pytest.raises(jaxtyping.TypeCheckError, match="split_probabilities"):
        split_probabilities(np.zeros((2, 2)))
    with pytest.raises(jaxtyping.TypeCheckError, match="walsh_hadamard"):
        walsh_hadamard(np.zeros(2, dtype=np.float32))
    with pytest.raises(jaxtyping.TypeCheckError, match="read_cosines"):
        read_cosines(torch.zeros(3, dtype=torch.float32), None)
    memory = import_module("hybridopt.bridges.memory.readout")
    monkeypatch.setattr(memory.np, "sin", lambda delta: np.zeros(7))
    with pytest.raises(jaxtyping.TypeCheckError, match=r"return .* size of dimension M is 7"):
        memory.ClosedFormSampler().read(np.zeros(3), 0)


def test_checks_leave_the_global_generator_unchanged():
    state = random.getstate()
    walsh_hadamard(np.zeros(8))
    assert random.getstate() == state


def test_every_kind_of_function_and_annotation_is_checked():
    two, three = np.zeros(2), np.zeros(3)
    assert Row(two).total == 0
    assert Row(two).times(factor=3.0) == 6
    assert joined([two, two], (2, two)).shape == (2,)
    assert joined([], (2, two)) is None
    assert list(counted(2)) == [0, 1]
    for wrong in (
        lambda: Row([0.0]),
        lambda: Row(two, number="1"),
        lambda: Row(two.astype(int)),
        lambda: Row(two, 1).total,
        lambda: Row(two).times(factor="3"),
        lambda: joined([two], (2, three)),
        lambda: joined([two], (1, two)),  # the result has another size
        lambda: counted("2"),
    ):
        with pytest.raises(jaxtyping.TypeCheckError):
            wrong()
