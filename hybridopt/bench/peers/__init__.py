"""The simulators that are compared, one library a file, all with the same face."""

from __future__ import annotations

from hybridopt.bench.peers.competitor import Competitor
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
PEER_NAMES = tuple(dict.fromkeys(peer.key for peer in PEERS))  # for ``--peer``
