"""Executors from a short text: ``fake:FakeManilaV2``, or ``file.py:function`` of the user."""

from __future__ import annotations

from qiskit.primitives import BackendSamplerV2

from hybridopt._user_code import call_in_file, split_source
from hybridopt.circuits.counts import find_backend
from hybridopt.errors import ArgumentError
from hybridopt.execution import Executor, PrimitiveExecutor, check_executor

FAKE = "fake:"


def executor_from_text(text: str, *, shots: int | None, seed: int) -> Executor:
    """Return the executor of a text.

    ``"fake:NAME"`` is a sampler on the twin of a device, with its noise, couplings and gates.
    ``"file.py:function"`` is the result of a function without arguments.

    Args:
        text: Text, such as ``"fake:FakeManilaV2"`` or ``"devices.py:manila"``.
        shots: Number of shots per setting; None for 1,024. A file sets its own.
        seed: Seed of the noise; a file sets its own.

    Raises:
        MissingExtraError: If the package of the fake devices is not installed.
        ArgumentError: If the text has another form, or no such device or function exists.
        ArgumentTypeError: If the function returns no executor.
    """
    if text.startswith(FAKE):
        sampler = BackendSamplerV2(backend=find_backend(text.removeprefix(FAKE)))
        return PrimitiveExecutor(sampler, shots=shots, seed=seed)
    source = split_source(text)
    if source is None:
        raise ArgumentError(
            f"`executor` must be `fake:FakeManilaV2` or `file.py:function` (got {text!r})."
        )
    if shots is not None:
        raise ArgumentError(
            f"`shots` must not be given with {text!r} (got {shots}). Set them in the function."
        )
    return check_executor(call_in_file("executor", *source))
