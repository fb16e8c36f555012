"""What the plug-ins have in common: an executor, a gradient rule, and no options of their own."""

from __future__ import annotations

from collections.abc import Mapping

from qiskit import QuantumCircuit

from hybridopt.circuits import lower
from hybridopt.errors import ArgumentError
from hybridopt.execution import AerExecutor, Executor, Probabilities, check_executor
from hybridopt.gradients import GradientRule, create


def checked_executor(executor: object) -> Executor:
    """The executor, or a new exact one for None.

    Raises:
        ArgumentTypeError: If it is something else.
    """
    return AerExecutor() if executor is None else check_executor(executor)


def checked_rule(gradient: str | GradientRule, executor: Executor) -> GradientRule:
    """The gradient rule, if it can be used with the executor.

    Raises:
        UnknownNameError: With the nearest names.
        ArgumentTypeError: If it is neither a name nor a rule.
        UnsupportedError: If rule and executor do not go together.
    """
    rule = create(gradient)
    rule.check(lower(QuantumCircuit(1)), Probabilities(), executor)
    return rule


def refuse_options(owner: str, options: Mapping[str, object]) -> None:
    """Refuse options at run time: they would be ignored.

    Raises:
        ArgumentError: If there are any.
    """
    if options:
        raise ArgumentError(
            f"{owner} takes no options for a run, but was given {', '.join(options)}. Shots, seed "
            f"and noise are the executor's: `{owner}(executor=AerExecutor(shots=...))`."
        )
