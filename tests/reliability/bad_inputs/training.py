"""Bad data, and bad arguments of training."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

import hybridopt as ho
from hybridopt.optim import Newton
from hybridopt.sklearn import HybridClassifier, HybridRegressor
from tests.reliability.bad_inputs.parts import (
    INF,
    NAN,
    Call,
    X,
    Y,
    at,
    fit,
    frozen,
    infinite,
    memory,
    net,
    newton,
    newton_step,
    written,
)

DATA: dict[str, tuple[Call, str]] = {
    "fit: NaN feature": (lambda _: fit(at(X, 4, NAN)), "`x` must be finite"),
    "fit: infinite target": (lambda _: fit(y=at(X, 2, INF)), "`y` must be finite"),
    "fit: negative label": (lambda _: fit(y=at(Y, 5, -1)), "labels of 0 or more"),
    "fit: label beyond the outputs": (lambda _: fit(y=at(Y, 5, 3)), "Labels must be 0 to 2"),
    "fit: too few features": (lambda _: fit(X[:, :2]), "cannot take x of shape"),
    "fit: one feature without a column": (lambda _: fit(X[:, 0]), "(samples, features)"),
    "fit: other lengths": (lambda _: fit(y=Y[:-1]), "equal length"),
    "fit: no sample": (lambda _: fit(X[:0], Y[:0]), "at least one sample"),
    "fit: integer features": (lambda _: fit(X.long()), "features as floats"),
    "fit: complex features": (lambda _: fit(X.to(torch.complex64)), "real numbers"),
    "fit: ragged lists": (
        lambda _: fit([[1.0, 2.0, 3.0], [1.0]], [0, 1]),
        "`x` must be a regular table",
    ),
    "fit: words": (
        lambda _: fit(np.array([["a", "b", "c"]] * 3), [0, 1, 2]),
        "`x` must hold real numbers",
    ),
    "fit: a name for data": (lambda _: ho.fit(memory(), "digits"), "`data` must be a Dataset"),
    "fit: no data": (lambda _: ho.fit(memory(), None), "`data` must be a Dataset"),
    "fit: three members": (lambda _: ho.fit(memory(), (X, Y, Y)), "two members"),
    "fit: real targets of another width": (lambda _: fit(y=X[:, :2]), "targets have"),
    "load_dataset: unknown": (lambda _: ho.load_dataset("irsi"), "Did you mean 'iris'"),
    "load_dataset: no name": (lambda _: ho.load_dataset(3), "by name"),
    "load_dataset: all for testing": (
        lambda _: ho.load_dataset("iris", test_size=1.0),
        "test_size",
    ),
    "load_dataset: NaN for testing": (
        lambda _: ho.load_dataset("iris", test_size=NAN),
        "test_size",
    ),
    "load_dataset: seed": (lambda _: ho.load_dataset("iris", seed=-1), "`seed` must be 0"),
    "load_dataset: option": (lambda _: ho.load_dataset("moons", nosie=0.1), "nosie"),
}

TRAINING: dict[str, tuple[Call, str]] = {
    "fit: no network": (lambda _: ho.fit(None, (X, Y)), "torch.nn.Module"),
    "fit: a class": (lambda _: ho.fit(nn.Linear, (X, Y)), "torch.nn.Module"),
    "fit: no parameters": (lambda _: ho.fit(nn.Tanh(), (X, Y)), "nothing to train"),
    "fit: frozen": (lambda _: ho.fit(frozen(), (X, Y)), "frozen parameters only"),
    "fit: infinite weight": (lambda _: ho.fit(infinite(), (X, Y)), "NaN or infinite"),
    "fit: several outputs": (lambda _: fit(network=ho.to_quantum(nn.LSTM(3, 3))), "one tensor"),
    "fit: epochs": (lambda _: ho.fit(memory(), (X, Y), epochs=-1), "`epochs` must be 0"),
    "fit: half an epoch": (lambda _: ho.fit(memory(), (X, Y), epochs=0.5), "`epochs` must be an"),
    "fit: batch size": (lambda _: fit(batch_size=0), "`batch_size` must be 1"),
    "fit: batch size by word": (lambda _: fit(batch_size="all"), '"auto", None'),
    "fit: learning rate 0": (lambda _: fit(lr=0), "`lr` must be more than 0"),
    "fit: learning rate NaN": (lambda _: fit(lr=NAN), "`lr` must be finite"),
    "fit: learning rate by word": (lambda _: fit(lr="fast"), "`lr` must be a number"),
    "fit: auto beside newton": (lambda _: fit(lr="auto", optimizer="newton"), "line search"),
    "fit: optimizer": (lambda _: fit(optimizer="adma"), "Did you mean"),
    "fit: optimizer class": (lambda _: fit(optimizer=torch.optim.Adam), "by name"),
    "fit: option": (lambda _: fit(momentum=0.9), "no keyword argument 'momentum'"),
    "fit: value of an option": (lambda _: fit(betas=(2.0, 3.0)), "refuses its options"),
    "fit: optimizer of another network": (
        lambda _: fit(optimizer=torch.optim.SGD(net().parameters())),
        "none of the given parameters",
    ),
    "fit: scheduler": (lambda _: fit(scheduler="cosin"), "Did you mean 'cosine'"),
    "fit: scheduler class": (
        lambda _: fit(scheduler=torch.optim.lr_scheduler.StepLR),
        "from the optimizer alone",
    ),
    "fit: loss by name": (lambda _: fit(loss="mse"), "`loss` must be a torch loss module"),
    "fit: loss class": (lambda _: fit(loss=nn.MSELoss), "`loss` must be a torch loss module"),
    "fit: loss of each sample": (
        lambda _: fit(loss=nn.CrossEntropyLoss(reduction="none")),
        "must return one number",
    ),
    "fit: loss without a gradient": (
        lambda _: fit(loss=lambda outputs, targets: outputs.detach().sum()),
        "cannot be differentiated",
    ),
    "fit: callback class": (lambda _: fit(callbacks=[ho.training.Callback]), "holds the class"),
    "fit: callbacks": (lambda _: fit(callbacks=print), "must be a list of functions"),
    "fit: seed": (lambda _: fit(seed=-1), "`seed` must be 0"),
    "fit: tol": (lambda _: fit(tol=-1.0), "`tol` must be 0"),
    "fit: patience": (lambda _: fit(patience=0), "`patience` must be 1"),
    "fit: device": (lambda _: fit(device="cup"), "Did you mean 'cpu'"),
    "fit: progress": (lambda _: fit(progress=2), "`progress` must be True"),
    "fit: checkpoint is a number": (lambda _: fit(checkpoint=3), "`checkpoint` must be a path"),
    "fit: checkpoint is a folder": (lambda folder: fit(checkpoint=folder), "it is a folder"),
    "fit: checkpoint is no checkpoint": (
        lambda folder: fit(checkpoint=written(folder, "no checkpoint")),
        "damaged or no checkpoint",
    ),
    "fit: checkpoint below a file": (
        lambda folder: fit(checkpoint=written(folder, "") / "run.pt"),
        "Cannot write",
    ),
    "TensorBoard: no path": (lambda _: ho.training.TensorBoard(3), "`folder` must be a path"),
    "Newton: nothing to train": (lambda _: Newton([]), "nothing to train"),
    "Newton: learning rate": (lambda _: newton(lr=-1.0), "`lr` must be more than 0"),
    "Newton: curvature": (lambda _: newton(curvature="hesian"), "Did you mean 'hessian'"),
    "Newton: solver": (lambda _: newton(solver="lu"), "Unknown solver 'lu'"),
    "Newton: no closure": (lambda _: newton_step(None), "needs a closure that returns the loss"),
    "Newton: closure gives a number": (
        lambda _: newton_step(lambda: 0.5),
        "must return the loss as a tensor",
    ),
    "HybridClassifier: network": (
        lambda _: HybridClassifier(network="mlp").fit(X.numpy(), Y.numpy()),
        "`network` must be the widths",
    ),
    "HybridClassifier: bridge": (
        lambda _: HybridClassifier(bridge="memroy").fit(X.numpy(), Y.numpy()),
        "Did you mean 'memory'",
    ),
    "HybridRegressor: shots without a circuit": (
        lambda _: HybridRegressor(shots=10).fit(X.numpy(), Y.numpy()),
        "is for a network in a circuit",
    ),
}
