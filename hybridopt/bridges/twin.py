"""The twin: the formula of a bridge in torch, without a circuit. A control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

from torch import nn

from hybridopt import _validation
from hybridopt.bridges.base import Bridge
from hybridopt.bridges.generator.bridge import Generator
from hybridopt.bridges.memory.cosine_network import check_form, check_scale, check_trainable
from hybridopt.bridges.memory.network import Memory
from hybridopt.bridges.mesh.bridge import Mesh
from hybridopt.bridges.quantum_network import QuantumNetwork
from hybridopt.errors import ArgumentError, UnsupportedError
from hybridopt.execution import Executor
from hybridopt.gradients import GradientRule

WITH_TWINS: Mapping[str, type[Bridge]] = {
    bridge.name: bridge for bridge in (Memory, Mesh, Generator)
}


@dataclass(frozen=True)
class Twin(Bridge):
    """Options of the twin: which bridge it is of, and for the memory bridge, that bridge's own.

    The same numbers come out: equal to 1e-10 without shots; with shots, numbers of the same
    distribution.

    Attributes:
        of: The bridge: ``"memory"`` with the options below, another by name with its defaults, or
            an instance with options of its own, as in ``Twin(of=Memory(form="full"))``.
        form: As of `Memory`.
        scale: As of `Memory`.
        fold: As of `Memory`.
        num_angles: As of `Memory`.
        frozen: Only False: with nothing trained there is nothing to compare.

    Raises:
        ArgumentError: If options of `Memory` are given beside another bridge or an instance.
        UnknownNameError: If there is no such bridge.
        UnsupportedError: If the bridge has no formula in torch.

    Example:
        >>> from hybridopt.bridges import Twin
        >>> import torch, hybridopt as ho
        >>> network, x = torch.nn.Linear(3, 2).double(), torch.rand(5, 3).double()
        >>> quantum, twin = ho.to_quantum(network, "mesh"), ho.to_quantum(network, Twin(of="mesh"))
        >>> torch.allclose(quantum(x), twin(x), rtol=0, atol=1e-10), twin.step_cost().settings
        (True, 0)
    """

    name: ClassVar[str] = "twin"

    form: str = "residual"
    scale: str | float | Mapping[str, float] = "auto"
    fold: str | None = None
    num_angles: int | None = None
    frozen: bool = False
    of: str | Bridge = Memory.name

    def __post_init__(self) -> None:
        if isinstance(self.of, Bridge):
            if type(self.of).twin is Bridge.twin:
                raise UnsupportedError(
                    f"The bridge {self.of.name!r} has no twin. Bridges that have one: "
                    f"{', '.join(WITH_TWINS)}."
                )
        else:
            _validation.choice("bridge of a twin", self.of, WITH_TWINS)
        check_form(self.form, self.fold)
        check_scale(self.scale)
        check_trainable(self.num_angles, self.frozen)
        self._refuse_options_of_another_bridge()

    @property
    def original(self) -> Bridge:
        """The bridge that this is the twin of."""
        if isinstance(self.of, Bridge):
            return self.of
        if self.of == Memory.name:
            return Memory(
                form=self.form, scale=self.scale, fold=self.fold, num_angles=self.num_angles
            )
        return WITH_TWINS[self.of]()

    def check(self, network: nn.Module) -> None:
        """Refuse what the bridge cannot carry."""
        self.original.check(network)

    def encode(
        self, network: nn.Module, *, executor: Executor, gradient: GradientRule
    ) -> QuantumNetwork:
        """Carry a network into the formula; of the executor, shots and seed alone are taken."""
        return self.original.twin(network, executor=executor)

    def _refuse_options_of_another_bridge(self) -> None:
        if self.of == Memory.name:
            return
        given = [
            field.name
            for field in fields(self)
            if field.name != "of" and getattr(self, field.name) != field.default
        ]
        if not given:
            return
        if isinstance(self.of, Bridge):
            raise ArgumentError(
                f"Options {', '.join(given)} were given beside an instance of a bridge. Set them "
                f"on the instance: Twin(of={type(self.of).__name__}(...))."
            )
        raise ArgumentError(
            f"Options {', '.join(given)} are those of the memory bridge, but the twin is of "
            f"{self.of!r}. Give an instance with options of its own: "
            f"Twin(of={WITH_TWINS[self.of].__name__}(...))."
        )
