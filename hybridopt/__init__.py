"""Quantum-classical training of neural networks on Qiskit Aer and torch.

The import prints, logs, seeds and configures nothing. Public names are loaded on first use
(PEP 562), so ``import hybridopt`` imports neither torch nor Qiskit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from hybridopt._validation import no_attribute

if TYPE_CHECKING:
    from hybridopt import bridges, errors, gradients, optim, qiskit_ml, training
    from hybridopt.bridges import QuantumNetwork, to_classical, to_quantum
    from hybridopt.circuits import load_circuit, save_circuit
    from hybridopt.compare import Budget, Method, Study, Tuning, compare, load_study, recommend
    from hybridopt.data import Dataset, load_dataset
    from hybridopt.execution import AerExecutor, Cost, DaskExecutor, PrimitiveExecutor
    from hybridopt.nn import CircuitLayer, DressedCircuit
    from hybridopt.qiskit_ml import from_qnn
    from hybridopt.storage import load, save
    from hybridopt.training import History
    from hybridopt.training.fit import fit
    from hybridopt.transfer import Unfreeze, parameter_groups
    from hybridopt.transfer.transfer import transfer

__version__ = "0.2.0"

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
    "DaskExecutor",
    "DressedCircuit",
    "PrimitiveExecutor",
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

_HOMES = {
    "bridges": ("QuantumNetwork", "to_classical", "to_quantum"),
    "circuits": ("load_circuit", "save_circuit"),
    "compare": ("Budget", "Method", "Study", "Tuning", "compare", "load_study", "recommend"),
    "data": ("Dataset", "load_dataset"),
    "execution": ("AerExecutor", "Cost", "DaskExecutor", "PrimitiveExecutor"),
    "nn": ("CircuitLayer", "DressedCircuit"),
    "qiskit_ml": ("from_qnn",),
    "storage": ("load", "save"),
    "training": ("History", "fit"),
    "transfer": ("Unfreeze", "parameter_groups", "transfer"),
}
_SUBPACKAGES = ("circuits", "data", "execution", "nn", "storage")  # those not in `__all__`
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


class _Package(ModuleType):
    """Package type that keeps ``compare`` and ``transfer`` functions when subpackages load."""

    def __setattr__(self, name: str, value: object) -> None:
        if isinstance(value, ModuleType) and name in _HOME_OF:
            value = getattr(value, name)
        super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Callable[[str], ModuleType], tuple[str]]:
        """Pickle by name, as cloudpickle does for modules whose type is exactly ModuleType."""
        return import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> object:
    if name in _HOME_OF:
        value: object = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    elif name in __all__ or name in _SUBPACKAGES:
        value = import_module(f"{__name__}.{name}")
    else:
        raise no_attribute(__name__, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
