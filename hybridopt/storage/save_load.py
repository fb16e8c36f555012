"""`save` and `load`: quantum networks, and modules that contain circuits, in one file."""

from __future__ import annotations

import json
import os
from pathlib import Path

from torch import nn

from hybridopt._files import check_writable
from hybridopt._modules import check_module
from hybridopt.errors import ArgumentTypeError, CheckpointError, HybridOptError
from hybridopt.execution import Executor, check_executor
from hybridopt.storage.archive import FIRST, read_archive, write_archive
from hybridopt.storage.loading import Loading, check_versions
from hybridopt.storage.saving import Saving


def save(module: nn.Module, path: str | os.PathLike[str]) -> Path:
    """Write a quantum network, or a module that contains circuits, into one file.

    The file holds the angles and all other tensors, the weights of the plain network, the circuits
    (QPY), bridge and options, the executor's settings and its position in the sampling stream, the
    gradient rule, train and eval modes, what is frozen and where a new head is, and the versions of
    the packages. It is an ordinary zip archive, and there is no code in it. It is written whole or
    not at all.

    Args:
        module: A quantum network of any bridge or control; a `CircuitLayer`; or a module that
            contains some.
        path: Where the file shall stand; any ending will do. An older file is replaced.

    Returns:
        The path.

    Raises:
        ConversionError: If there is no circuit in it, or something of it has no stored form.
        ArgumentTypeError: If it is no module, or ``path`` is no path.
        OutputError: If the file cannot be written.

    Example:
        >>> import tempfile, torch, hybridopt as ho
        >>> quantum = ho.to_quantum(torch.nn.Linear(3, 2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = ho.save(quantum, f"{folder}/linear.ho")
        ...     again = ho.load(path)
        >>> x = torch.rand(4, 3)
        >>> torch.equal(again(x), quantum(x))
        True
    """
    check_module(module, "module")
    _check_path(path)
    check_writable(path)
    return write_archive(path, Saving(module).members())


def load(
    path: str | os.PathLike[str],
    network: nn.Module | None = None,
    *,
    executor: Executor | None = None,
) -> nn.Module:
    """Read what `save` wrote; outputs are the same to the last bit, and training goes on.

    Args:
        path: Of the file.
        network: A network of the same class and shapes, made in the same way (by `transfer`, if
            the saved one was), with its circuits or as it was before `to_quantum`. It is needed
            where the file holds a class of your own, as there is no code in files; networks of
            torch.nn and hybridopt alone are built in. It is copied and left as it is; neither its
            weights nor what is frozen in it matter.
        executor: Takes the place of the stored settings, as on a machine with another device;
            needed where the settings could not be stored.

    Returns:
        The module, on the CPU, in the modes in which it was saved. With shots it goes on in the
        sampling stream where `save` found it, and uses again what had been read to be used again.

    Raises:
        CheckpointError: If there is no such file, it is damaged or of another kind, versions do
            not fit, or ``network`` is missing or of another class or shape; the message says
            which, and what to do.
        ArgumentTypeError: If an argument has the wrong type.

    Example:
        >>> from hybridopt import load
        >>> import tempfile, torch, hybridopt as ho
        >>> head = ho.DressedCircuit(3, 2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = load(ho.save(head, f"{folder}/head.ho"))
        >>> torch.equal(again.layer.weight, head.layer.weight)
        True
    """
    _check_path(path)
    if network is not None:
        check_module(network)
    if executor is not None:
        check_executor(executor)
    members = read_archive(path)
    try:
        meta = json.loads(members[FIRST])
        check_versions(path, meta)
        return Loading(os.fspath(path), meta, members, executor).module(network)
    except HybridOptError:
        raise
    except Exception as error:  # a digest that fits does not make the content ours
        raise CheckpointError(
            f"{os.fspath(path)} is whole, but is not what `hybridopt.save` writes "
            f"({type(error).__name__}: {error}). Save the network again, or load it with the "
            "version that wrote the file."
        ) from error


def _check_path(path: object) -> None:
    if not isinstance(path, str | os.PathLike):
        raise ArgumentTypeError(
            f"Argument `path` must be a path, but is of type {type(path).__name__}."
        )
