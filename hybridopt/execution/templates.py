"""Translated circuits, each translated once."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from hybridopt.circuits.circuit_program import CircuitProgram
from hybridopt.execution.readout import Setting
from hybridopt.execution.translation import Translated, Translation


class Templates:
    """Circuits with parameters for programs and settings, kept as long as their program lives.

    Args:
        translation: Rewrites circuits.
    """

    def __init__(self, translation: Translation) -> None:
        self._translation = translation
        self._kept: WeakKeyDictionary[
            CircuitProgram, dict[tuple[Setting, ...], list[Translated]]
        ] = WeakKeyDictionary()

    def of(self, program: CircuitProgram, settings: tuple[Setting, ...]) -> list[Translated]:
        """The circuits that together serve all settings."""
        known = self._kept.setdefault(program, {})
        if settings not in known:
            known[settings] = self._translation(program, settings)
        return known[settings]

    def __getstate__(self) -> dict[str, object]:
        return {"_translation": self._translation}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._kept = WeakKeyDictionary()
