"""Quantum-classical training of neural networks on Qiskit Aer and torch.

Importing it prints, logs, seeds and configures nothing.
"""

from hybridopt import bridges, errors, gradients, optim, qiskit_ml, training
from hybridopt.bridges import QuantumNetwork, to_classical, to_quantum
from hybridopt.circuits import load_circuit, save_circuit
from hybridopt.compare import Budget, Method, Study, Tuning, compare, load_study, recommend
from hybridopt.data import Dataset, load_dataset
from hybridopt.execution import AerExecutor, Cost
from hybridopt.nn import CircuitLayer, DressedCircuit
from hybridopt.qiskit_ml import from_qnn
from hybridopt.storage import load, save
from hybridopt.training import History, fit
from hybridopt.transfer import Unfreeze, parameter_groups, transfer

__version__ = "0.1.0"

__all__ = [
    # data and training
    "Dataset",
    "History",
    "fit",
    "load_dataset",
    # transfer
    "Unfreeze",
    "parameter_groups",
    "transfer",
    # fair comparison
    "Budget",
    "Method",
    "Study",
    "Tuning",
    "compare",
    "load_study",
    "recommend",
    # circuits
    "AerExecutor",
    "CircuitLayer",
    "Cost",
    "DressedCircuit",
    "QuantumNetwork",
    "from_qnn",
    "load",
    "load_circuit",
    "save",
    "save_circuit",
    "to_classical",
    "to_quantum",
    # families
    "bridges",
    "errors",
    "gradients",
    "optim",
    "qiskit_ml",
    "training",
]
