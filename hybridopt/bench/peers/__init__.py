"""Simulators that are compared: one library per file, all with the interface `Competitor`."""

from __future__ import annotations

from hybridopt.bench.peers.aer_estimator import AerEstimatorV2
from hybridopt.bench.peers.competitor import Competitor
from hybridopt.bench.peers.mindquantum_states import FOLDER, INSTALL, MindQuantum
from hybridopt.bench.peers.pennylane_qubit import PennyLane
from hybridopt.bench.peers.process import InProcess
from hybridopt.bench.peers.pyqtorch_states import PyQTorch
from hybridopt.bench.peers.qiskit_machine_learning import EstimatorNetwork, SamplerNetwork
from hybridopt.bench.peers.qulacs_states import Qulacs
from hybridopt.bench.peers.tensorcircuit_jax import TensorCircuit

PEERS: tuple[Competitor, ...] = (
    PennyLane("default.qubit", "backprop"),
    PennyLane("default.qubit", "parameter-shift"),
    PennyLane("lightning.qubit", "adjoint"),
    PennyLane("lightning.qubit", "parameter-shift"),
    PennyLane("default.mixed", "backprop"),
    AerEstimatorV2(),
    EstimatorNetwork(aer=False),
    EstimatorNetwork(aer=True),
    SamplerNetwork(),
    TensorCircuit(),
    PyQTorch("autodiff"),
    PyQTorch("adjoint"),
    Qulacs(),
    *(InProcess(MindQuantum(n), (n,), folder=FOLDER, install=INSTALL) for n in (1, 2)),
)
PEER_NAMES = tuple(dict.fromkeys(peer.key for peer in PEERS))  # values of ``--peer``
