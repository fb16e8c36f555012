"""What every bridge can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from hybridopt.bridges.quantum_network import QuantumNetwork
from hybridopt.bridges.validation import check_network
from hybridopt.errors import UnsupportedError
from hybridopt.execution import AerExecutor, Executor
from hybridopt.gradients import GradientRule


@dataclass(frozen=True)
class Bridge(ABC):
    """A rule that carries a network into circuits and back; its fields are its options.

    Options are plain numbers, texts and mappings of them, so that they can be stored. A control is
    a bridge whose networks have no circuit.

    Example:
        >>> import hybridopt as ho
        >>> bridge = ho.bridges.BRIDGES["mesh"](scale=3)
        >>> isinstance(bridge, ho.bridges.Bridge), bridge.name, bridge.scale
        (True, 'mesh', 3.0)
    """

    name: ClassVar[str]

    def check(self, network: nn.Module) -> None:
        """Refuse a network that this bridge cannot carry; nothing is run.

        Raises:
            ArgumentTypeError: If it is no torch module.
            ConversionError: With the name of the layer or parameter that is in the way.
        """
        check_network(network)

    @abstractmethod
    def encode(
        self, network: nn.Module, *, executor: Executor, gradient: GradientRule
    ) -> QuantumNetwork:
        """Carry a network over; the network is left as it is."""

    def twin(self, network: nn.Module, *, executor: Executor) -> QuantumNetwork:
        """The same network by a formula in torch, without circuits: what the control `Twin` makes.

        Args:
            network: The plain network; it is left as it is.
            executor: Shots and seed are taken from it; it never runs anything.

        Raises:
            UnsupportedError: If there is no such formula.
        """
        raise UnsupportedError(f"The bridge {self.name!r} has no twin.")

    def decode(self, quantum: QuantumNetwork, *, readout: str = "angles") -> nn.Module:
        """The plain network again, as `hybridopt.to_classical` gives it."""
        return quantum.decode(readout=readout)


def shots_and_seed(executor: Executor, original: str) -> tuple[int | None, int | None]:
    """What a twin samples with: the executor's shots, and its seed if it has one.

    Raises:
        UnsupportedError: If the executor has noise, which has no formula.
    """
    if executor.has_noise:
        raise UnsupportedError(
            f"The twin of {original} has no formula for noise on gates. Give an executor "
            "without `noise_model`."
        )
    return executor.shots, executor.seed if isinstance(executor, AerExecutor) else None
