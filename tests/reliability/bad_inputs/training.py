"""Bad data, and bad arguments of training."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

import hybridopt as ho
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    CheckpointError,
    DataError,
    OutputError,
    UnknownNameError,
)
from hybridopt.optim import Newton
from hybridopt.sklearn import HybridClassifier, HybridRegressor
from tests.reliability.bad_inputs.parts import (
    INF,
    NAN,
    Bad,
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

DATA: Bad = {
    ArgumentError: {
        "load_dataset: all for testing": (
            lambda _: ho.load_dataset("iris", test_size=1.0),
            "`test_size` must be less than 1",
        ),
        "load_dataset: NaN for testing": (
            lambda _: ho.load_dataset("iris", test_size=NAN),
            "`test_size` must be finite",
        ),
        "load_dataset: seed": (lambda _: ho.load_dataset("iris", seed=-1), "`seed`"),
    },
    ArgumentTypeError: {
        "fit: a name for data": (lambda _: ho.fit(memory(), "digits"), "`data` must be a Dataset"),
        "fit: no data": (lambda _: ho.fit(memory(), None), "`data` must be a Dataset"),
        "load_dataset: no name": (lambda _: ho.load_dataset(3), "dataset must be a name (got 3"),
    },
    DataError: {
        "fit: NaN feature": (lambda _: fit(at(X, 4, NAN)), "`x` must be finite"),
        "fit: infinite target": (lambda _: fit(y=at(X, 2, INF)), "`y` must be finite"),
        "fit: negative label": (
            lambda _: fit(y=at(Y, 5, -1)),
            "`y` must hold labels of at least 0 (row 5 holds -1)",
        ),
        "fit: label beyond the outputs": (
            lambda _: fit(y=at(Y, 5, 3)),
            "`y` must be at most 2 for 3 outputs (got 3)",
        ),
        "fit: too few features": (
            lambda _: fit(X[:, :2]),
            "`x` must fit the network WeightNetwork (got shape (12, 2)",
        ),
        "fit: one feature without a column": (
            lambda _: fit(X[:, 0]),
            "`x` must have shape (samples, features) (got shape (12,))",
        ),
        "fit: other lengths": (
            lambda _: fit(y=Y[:-1]),
            "`x` and `y` must have equal length (got 12 and 11",
        ),
        "fit: no sample": (lambda _: fit(X[:0], Y[:0]), "`x` must hold at least one sample"),
        "fit: integer features": (
            lambda _: fit(X.long()),
            "`x` must fit the network WeightNetwork (got shape (12, 3) of torch.int64",
        ),
        "fit: complex features": (lambda _: fit(X.to(torch.complex64)), "torch.complex64"),
        "fit: ragged lists": (
            lambda _: fit([[1.0, 2.0, 3.0], [1.0]], [0, 1]),
            "`x` must be an array",
        ),
        "fit: words": (lambda _: fit(np.array([["a", "b", "c"]] * 3), [0, 1, 2]), "dtype <U1"),
        "fit: four members": (lambda _: ho.fit(memory(), (X, X, Y, Y)), "`data` must be (x, y)"),
        "fit: weight per feature": (
            lambda _: ho.fit(memory(), (X, Y, X)),
            "`sample_weight` must hold one number per sample (got shape (12, 3))",
        ),
        "fit: negative weight": (
            lambda _: ho.fit(memory(), (X, Y, at(X[:, 0].abs(), 2, -1.0))),
            "`sample_weight` must be at least 0 (row 2 holds -1)",
        ),
        "fit: inputs of other lengths": (
            lambda _: ho.fit(memory(), ((X, X[:4]), Y)),
            "`x[1]` and `y` must have equal length (got 4 and 12 rows)",
        ),
        "fit: dict without targets": (lambda _: ho.fit(memory(), {"x": X}), "`data` must have"),
        "fit: real targets of another width": (
            lambda _: fit(y=X[:, :2]),
            "`y` must have the shape of the outputs, (12, 3) (got (12, 2))",
        ),
    },
    UnknownNameError: {
        "load_dataset: unknown": (
            lambda _: ho.load_dataset("irsi"),
            "dataset 'irsi'. Did you mean 'iris'",
        ),
        "load_dataset: option": (
            lambda _: ho.load_dataset("moons", nosie=0.1),
            "'nosie'. Did you mean 'noise'",
        ),
    },
}

TRAINING: Bad = {
    ArgumentError: {
        "fit: no parameters": (
            lambda _: ho.fit(nn.Tanh(), (X, Y)),
            "`network` must have trainable parameters (got Tanh",
        ),
        "fit: frozen": (
            lambda _: ho.fit(frozen(), (X, Y)),
            "`network` must have trainable parameters (got Sequential with frozen",
        ),
        "fit: infinite weight": (
            lambda _: ho.fit(infinite(), (X, Y)),
            "`0.weight` of the network must be finite",
        ),
        "fit: epochs": (lambda _: ho.fit(memory(), (X, Y), epochs=-1), "`epochs`"),
        "fit: batch size": (lambda _: fit(batch_size=0), "`batch_size` must be at least 1"),
        "fit: batch size by word": (lambda _: fit(batch_size="all"), '`batch_size` must be "auto"'),
        "fit: learning rate 0": (lambda _: fit(lr=0), "`lr` must be greater than 0"),
        "fit: learning rate NaN": (lambda _: fit(lr=NAN), "`lr` must be finite"),
        "fit: auto beside newton": (
            lambda _: fit(lr="auto", optimizer="newton"),
            "lr=\"auto\" must have an optimizer without a line search (got 'newton')",
        ),
        "fit: value of an option": (
            lambda _: fit(betas=(2.0, 3.0)),
            "Options of optimizer 'adam' must be valid (ValueError",
        ),
        "fit: optimizer of another network": (
            lambda _: fit(optimizer=torch.optim.SGD(net().parameters())),
            "`optimizer` must have parameters of the network (got SGD",
        ),
        "fit: scheduler class": (
            lambda _: fit(scheduler=torch.optim.lr_scheduler.StepLR),
            "`scheduler` must be a function of the optimizer alone (got 'StepLR'",
        ),
        "fit: norm 0": (lambda _: fit(clip_grad_norm=0), "`clip_grad_norm` must be greater than 0"),
        "fit: no batch": (lambda _: fit(accumulate=0), "`accumulate` must be at least 1"),
        "fit: accumulation beside lbfgs": (
            lambda _: fit(accumulate=2, optimizer="lbfgs"),
            "`accumulate` must be left out with LBFGS",
        ),
        "fit: seed": (lambda _: fit(seed=-1), "`seed` must be at least 0"),
        "fit: tol": (lambda _: fit(tol=-1.0), "`tol` must be at least 0"),
        "fit: patience": (lambda _: fit(patience=0), "`patience` must be at least 1"),
        "Newton: nothing to train": (lambda _: Newton([]), "`params`"),
        "Newton: learning rate": (lambda _: newton(lr=-1.0), "`lr` must be greater than 0"),
        "HybridRegressor: shots without a circuit": (
            lambda _: HybridRegressor(shots=10).fit(X.numpy(), Y.numpy()),
            "`shots` must be None without a `bridge` (got 10)",
        ),
    },
    ArgumentTypeError: {
        "fit: no network": (lambda _: ho.fit(None, (X, Y)), "`network` must be a torch.nn.Module"),
        "fit: a class": (
            lambda _: ho.fit(nn.Linear, (X, Y)),
            "`network` must be a torch.nn.Module",
        ),
        "fit: half an epoch": (lambda _: ho.fit(memory(), (X, Y), epochs=0.5), "`epochs`"),
        "fit: learning rate by word": (lambda _: fit(lr="fast"), "`lr` must be a number"),
        "fit: optimizer class": (
            lambda _: fit(optimizer=torch.optim.Adam),
            "optimizer must be a name or an instance (got the class Adam",
        ),
        "fit: loss by name": (
            lambda _: fit(loss="mse"),
            "`loss` must be a torch loss module or a function of (outputs, targets) (got 'mse'",
        ),
        "fit: loss class": (
            lambda _: fit(loss=nn.MSELoss),
            "(got <class 'torch.nn.modules.loss.MSELoss'>)",
        ),
        "fit: loss of each sample": (
            lambda _: fit(loss=nn.CrossEntropyLoss(reduction="none")),
            "`loss` must return a tensor with one element (got shape (12,))",
        ),
        "fit: callback class": (
            lambda _: fit(callbacks=[ho.training.Callback]),
            "`callbacks` must contain Callback objects",
        ),
        "fit: callbacks": (lambda _: fit(callbacks=print), "`callbacks` must be a list"),
        "fit: progress": (lambda _: fit(progress=2), "`progress` must be True"),
        "fit: checkpoint is a number": (lambda _: fit(checkpoint=3), "`checkpoint` must be a path"),
        "TensorBoard: no path": (lambda _: ho.training.TensorBoard(3), "`folder` must be a path"),
        "Newton: no closure": (lambda _: newton_step(None), "`closure` must be a function"),
        "Newton: closure gives a number": (
            lambda _: newton_step(lambda: 0.5),
            "`closure` must return the loss, a tensor with one element (got 0.5",
        ),
        "HybridClassifier: network": (
            lambda _: HybridClassifier(network="mlp").fit(X.numpy(), Y.numpy()),
            "`network` must be the widths",
        ),
    },
    CheckpointError: {
        "fit: checkpoint of another program": (
            lambda folder: fit(checkpoint=written(folder, "no checkpoint")),
            "file.qasm is damaged or not a checkpoint",
        ),
    },
    DataError: {
        "fit: several outputs": (lambda _: fit(network=ho.to_quantum(nn.LSTM(3, 3))), "`network`"),
        "fit: loss without a gradient": (
            lambda _: fit(loss=lambda outputs, targets: outputs.detach().sum()),
            "`loss` must be differentiable",
        ),
    },
    OutputError: {
        "fit: checkpoint is a folder": (
            lambda folder: fit(checkpoint=folder),
            "must be a file (got a folder)",
        ),
        "fit: checkpoint below a file": (
            lambda folder: fit(checkpoint=written(folder, "") / "run.pt"),
            "output folder",
        ),
    },
    UnknownNameError: {
        "fit: optimizer": (lambda _: fit(optimizer="adma"), "optimizer 'adma'. Did you mean"),
        "fit: option": (
            lambda _: fit(momentum=0.9),
            "Optimizer 'adam' takes no keyword argument 'momentum'",
        ),
        "fit: scheduler": (
            lambda _: fit(scheduler="cosin"),
            "scheduler 'cosin'. Did you mean 'cosine'",
        ),
        "fit: device": (lambda _: fit(device="cup"), "device 'cup'. Did you mean 'cpu'"),
        "Newton: curvature": (
            lambda _: newton(curvature="hesian"),
            "curvature 'hesian'. Did you mean 'hessian'",
        ),
        "Newton: solver": (lambda _: newton(solver="lu"), "solver 'lu'"),
        "HybridClassifier: bridge": (
            lambda _: HybridClassifier(bridge="memroy").fit(X.numpy(), Y.numpy()),
            "bridge 'memroy'. Did you mean 'memory'",
        ),
    },
}
