"""Twin of a bridge: its formula in torch, without a circuit."""

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
    """Twin of a bridge, a control with that bridge's options.

    It computes the outputs of the bridge by a formula in torch, without a circuit. Without shots,
    both agree to 1e-10; with shots, their outputs have the same distribution.

    Args:
        of: Name of the bridge, or an instance, as in ``Twin(of=Memory(form="full"))``.
        **options: Options of the bridge, if ``of`` is a name, except those that choose its circuit.

    Attributes:
        of: Instance of the bridge.

    Raises:
        ArgumentError: If options are given together with an instance.
        UnknownNameError: If the bridge or option is unknown.
        UnsupportedError: If the bridge has no twin.

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
                    f"`of` must be a bridge with a twin (got {of.name!r}). Available: "
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
        """Raise if the bridge cannot convert the network."""
        self.of.check(network)

    def encode(
        self, network: nn.Module, *, executor: Executor, gradient: GradientRule
    ) -> QuantumNetwork:
        """Convert a network to the formula; only the executor's shots and seed are used."""
        return self.of.twin(network, executor=executor)
