"""The twin: the formula of a bridge in torch, without a circuit. A control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from torch import nn

from hybridopt import _validation
from hybridopt.bridges.base import Bridge, HasTwin, QuantumNetwork, check_no_options
from hybridopt.bridges.generator.network import Generator
from hybridopt.bridges.memory.network import Memory
from hybridopt.bridges.mesh.network import Mesh
from hybridopt.errors import UnsupportedError
from hybridopt.execution import Executor
from hybridopt.gradients import GradientRule

WITH_TWINS: Mapping[str, type[HasTwin]] = {
    bridge.name: bridge for bridge in (Memory, Mesh, Generator)
}


@dataclass(frozen=True, init=False)
class Twin(Bridge):
    """The twin of a bridge, with that bridge's options.

    The same numbers come out: equal to 1e-10 without shots; with shots, numbers of the same
    distribution.

    Args:
        of: Name of the bridge, with its options as further keywords, or an instance, as in
            ``Twin(of=Memory(form="full"))``.
        **options: Options of the bridge, where it is given by name; none that choose its circuit.

    Attributes:
        of: The bridge, an instance.

    Raises:
        ArgumentError: If options are given beside an instance.
        UnknownNameError: If there is no such bridge or option.
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

    of: HasTwin

    def __init__(self, of: str | Bridge = Memory.name, **options: Any) -> None:
        if isinstance(of, Bridge):
            if not isinstance(of, HasTwin):
                raise UnsupportedError(
                    f"The bridge {of.name!r} has no twin. Bridges that have one: "
                    f"{', '.join(WITH_TWINS)}."
                )
            check_no_options(of, options)
        else:
            kind = WITH_TWINS[_validation.choice("bridge of a twin", of, WITH_TWINS)]
            known = [one.name for one in fields(kind) if one.name not in kind.circuit_options]
            _validation.keywords('bridge="twin"', options, [*known, "of"])
            of = kind(**options)
        object.__setattr__(self, "of", of)

    def check(self, network: nn.Module) -> None:
        """Refuse what the bridge cannot carry."""
        self.of.check(network)

    def encode(
        self, network: nn.Module, *, executor: Executor, gradient: GradientRule
    ) -> QuantumNetwork:
        """Carry a network into the formula; of the executor, shots and seed alone are taken."""
        return self.of.twin(network, executor=executor)
