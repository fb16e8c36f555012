"""State vectors in numpy buffers, on which gates of Aer act; the only user of Aer's inner class."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Complex128

try:
    from qiskit_aer.backends.controller_wrappers import AerStateWrapper
except ImportError:  # it is not part of Aer's interface
    AerStateWrapper = None

Matrix = Complex128[np.ndarray, "_ _"]  # square
Placed = tuple[list[int], Matrix | None]  # qubits and matrix of a gate; None for CX
OPTIONS = {
    "method": "statevector",
    "parallel_state_update": "1",  # threads cost more than they save in such small states
    "fusion_enable": "false",
}

_idle = threading.local()  # of each thread: a wrapper without a buffer, 50 us faster than a new one


class BufferedState:
    """State vector in a buffer, which Aer changes in place, as a context.

    The buffer may be read and changed after each `apply`. Its norm may be any number.

    Args:
        buffer: Amplitudes, contiguous, a power of two of them. Qubit 0 is the least significant.
        continues: Whether the gates continue a run, which is counted already.
    """

    def __init__(
        self, buffer: Complex128[np.ndarray, " amplitudes"], *, continues: bool = False
    ) -> None:
        self._buffer = buffer
        self._wrapper: Any = None  # while Aer may have the buffer
        self.continues = continues

    def __enter__(self) -> BufferedState:
        wrapper = _idle.__dict__.pop("wrapper", None)
        self._wrapper = _new_wrapper() if wrapper is None else wrapper
        num_qubits = self._buffer.size.bit_length() - 1
        self._wrapper.initialize_statevector(num_qubits, self._buffer, False)
        return self

    def apply(self, gates: Sequence[Placed]) -> None:
        """Apply gates in order; the first qubit of a matrix is its least significant one."""
        unitary, cx = self._wrapper.apply_unitary, self._wrapper.apply_cx
        for qubits, matrix in gates:
            if matrix is None:
                cx(qubits)
            else:
                unitary(qubits, matrix)
        self._wrapper.flush()

    def multiplex(
        self, controls: list[int], target: int, matrices: Complex128[np.ndarray, "n 2 2"]
    ) -> None:
        """Apply one of n matrices to the target, selected by the controls, the lowest bit first."""
        self._wrapper.apply_multiplexer(controls, [target], matrices)
        self._wrapper.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        wrapper = self._wrapper
        wrapper.move_to_buffer()  # the memory belongs to numpy again
        self._wrapper = None
        if kind is None:
            _idle.wrapper = wrapper

    def __del__(self) -> None:
        """Return the buffer to numpy if Ctrl-C came before `__exit__`, as Aer would free it."""
        if self._wrapper is not None:
            with suppress(RuntimeError):  # Aer does not have it
                self._wrapper.move_to_buffer()


def _new_wrapper() -> Any:
    wrapper = AerStateWrapper()
    for option, value in OPTIONS.items():
        wrapper.configure(option, value)
    return wrapper


@cache
def is_available() -> bool:
    """Return True if Aer's inner class works as this module expects it; checked once."""
    if AerStateWrapper is None:
        return False
    angles = np.arange(64).reshape(8, 8)
    state, matrix = np.exp(1j * angles.ravel()), np.linalg.qr(np.exp(1j * angles[:4, :4] ** 2))[0]
    buffer, phases = state.copy(), np.exp(-1j * np.arange(64) ** 2)
    try:
        with BufferedState(buffer, continues=True) as run:
            run.apply([([3, 1], matrix)])
            buffer *= phases
            run.apply([([0, 2], None)])
            run.multiplex([4, 1], 5, state[:16].reshape(4, 2, 2))
        with BufferedState(buffer[:32], continues=True) as run:  # the same wrapper
            run.apply([([4], matrix[:2, :2])])
    except (AttributeError, TypeError, ValueError, RuntimeError):
        return False
    return bool(np.abs(buffer - _expected(state, matrix, phases)).max() < 1e-12)


def _expected(
    state: Complex128[np.ndarray, " amplitudes"],
    matrix: Matrix,
    phases: Complex128[np.ndarray, " amplitudes"],
) -> Complex128[np.ndarray, " amplitudes"]:
    """Return the state of the check, without Aer."""
    pair = matrix.reshape(2, 2, 2, 2)  # axes: qubits 1 and 3 after, then before
    cube = state.reshape(2, 2, 2, 2, 2, 2)  # axis 0 is qubit 5
    cube = np.einsum("abcd,xydwcz->xybwaz", pair, cube)
    result = cube.reshape(-1) * phases
    index = np.arange(64)
    cube = result[index ^ ((index & 1) << 2)].reshape(2, 2, 2, 2, 2, 2)
    selected = state[:16].reshape(2, 2, 2, 2)  # axes: qubits 1 and 4, then 5 after and before
    result = np.einsum("pqyz,zqabpc->yqabpc", selected, cube).reshape(-1)
    half = result[:32].reshape(2, 16)
    return np.concatenate([(matrix[:2, :2] @ half).ravel(), result[32:]])
