"""The program that we have can do all that executors ask of a program."""

from __future__ import annotations

import inspect

import pytest

from hybridopt.circuits import MemoryProgram, Program

MEMBERS = [name for name in vars(Program) if not name.startswith("_")]


def test_the_contract_names_what_executors_use():
    expected = {"num_qubits", "num_row_angles", "num_shared_angles", "bind"}
    assert expected | {"simulator_circuit", "working_memory"} == set(MEMBERS)


@pytest.mark.parametrize("name", MEMBERS)
def test_memory_program_keeps_the_contract(name):
    promised, kept = getattr(Program, name), getattr(MemoryProgram, name)
    assert isinstance(kept, property) == isinstance(promised, property)
    if not isinstance(promised, property):
        assert list(inspect.signature(kept).parameters) == list(
            inspect.signature(promised).parameters
        )
