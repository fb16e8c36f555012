"""The simulators that are compared, one library a file, all with the same face."""

from __future__ import annotations

from hybridopt import _validation
from hybridopt.bench.peers.competitor import Competitor, Hybridopt, PreparedProblem
from hybridopt.bench.peers.pennylane_qubit import PennyLane
from hybridopt.bench.peers.pyqtorch_states import PyQTorch
from hybridopt.bench.peers.qiskit_machine_learning import EstimatorNetwork, SamplerNetwork
from hybridopt.bench.peers.tensorcircuit_jax import TensorCircuit

PEERS: tuple[Competitor, ...] = (
    PennyLane("default.qubit", "backprop"),
    PennyLane("default.qubit", "parameter-shift"),
    PennyLane("lightning.qubit", "adjoint"),
    PennyLane("lightning.qubit", "parameter-shift"),
    EstimatorNetwork(aer=False),
    EstimatorNetwork(aer=True),
    SamplerNetwork(),
    TensorCircuit(),
    PyQTorch("autodiff"),
    PyQTorch("adjoint"),
)


def peer_names() -> list[str]:
    """Return the names by which ``--peer`` asks for them."""
    return list(dict.fromkeys(peer.key for peer in PEERS))


def peers_of(key: str) -> list[Competitor]:
    """Return a simulator by each of its rules.

    Raises:
        UnknownNameError: With the nearest names.
    """
    known = _validation.choice("peer", key, peer_names())
    return [peer for peer in PEERS if peer.key == known]


__all__ = [
    "PEERS",
    "Competitor",
    "Hybridopt",
    "PennyLane",
    "PreparedProblem",
    "PyQTorch",
    "EstimatorNetwork",
    "SamplerNetwork",
    "TensorCircuit",
    "peer_names",
    "peers_of",
]
