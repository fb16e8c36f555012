"""Bad arguments of what carries networks into circuits, keeps, transfers and compares them."""

from __future__ import annotations

from torch import nn

import hybridopt as ho
from hybridopt.bridges import Generator, Memory, Mesh, RandomSubspace, Twin
from tests.reliability.bad_inputs.parts import (
    NAN,
    Call,
    X,
    Y,
    frozen,
    infinite,
    memory,
    net,
    truncated,
    written,
)

NETWORKS: dict[str, tuple[Call, str]] = {
    "to_quantum: no network": (lambda _: ho.to_quantum(None), "must be a torch.nn.Module"),
    "to_quantum: class": (lambda _: ho.to_quantum(nn.Linear), "must be a torch.nn.Module"),
    "to_quantum: frozen": (
        lambda _: ho.to_quantum(frozen()),
        "All parameters of the network are frozen",
    ),
    "to_quantum: nothing to carry": (lambda _: ho.to_quantum(nn.Tanh()), "has no parameters"),
    "to_quantum: infinite weight": (
        lambda _: ho.to_quantum(infinite()),
        "`0.weight` has 1 values that are NaN or infinite",
    ),
    "to_quantum: lazy": (lambda _: ho.to_quantum(nn.LazyLinear(3)), "has no shape yet"),
    "to_quantum: bridge": (lambda _: memory(bridge="memroy"), "Did you mean 'memory'"),
    "to_quantum: bridge class": (lambda _: memory(bridge=Memory), "bridge"),
    "to_quantum: option": (lambda _: memory(fom="full"), "Did you mean 'form'"),
    "to_quantum: option beside instance": (
        lambda _: memory(bridge=Memory(), form="full"),
        "beside an instance",
    ),
    "to_quantum: executor": (lambda _: memory(executor="aer"), "`executor` must be"),
    "to_quantum: gradient": (lambda _: memory(gradient="parameter_shift"), "Did you mean"),
    "to_quantum: gradient that does not fit": (
        lambda _: memory(gradient="adjoint"),
        'takes gradient="parameter-shift" only',
    ),
    "to_quantum: too large": (
        lambda _: memory(executor=ho.AerExecutor(max_memory=64)),
        "`max_memory` allows",
    ),
    "Memory: form": (lambda _: Memory(form="ful"), "Did you mean 'full'"),
    "Memory: scale 0": (lambda _: Memory(scale=0.0), "`scale` must be more than 0"),
    "Memory: scale NaN": (lambda _: Memory(scale=NAN), "`scale` must be finite"),
    "Memory: scale smaller than the weights": (
        lambda _: memory(bridge=Memory(form="full", scale=1e-6)),
        "smaller than its largest weight",
    ),
    "Memory: scale of no tensor": (lambda _: memory(scale={"5.weight": 1.0}), "5.weight"),
    "Memory: merge": (lambda _: Memory(merge="step"), "Unknown merge 'step'"),
    "Memory: no angles": (lambda _: memory(num_angles=0), "num_angles"),
    "Memory: more angles than places": (lambda _: memory(num_angles=1000), "num_angles"),
    "Memory: frozen": (lambda _: memory(frozen=True), "leaves nothing to train"),
    "RandomSubspace: size": (lambda _: RandomSubspace(num_parameters=0), "num_parameters"),
    "Twin: of nothing": (lambda _: Twin(of="memroy"), "Did you mean 'memory'"),
    "Mesh: unknown layer": (
        lambda _: memory(bridge=Mesh(keep_classical=("9",))),
        "Unknown layer in `keep_classical` '9'",
    ),
    "Mesh: readout": (lambda _: Mesh(readout="proces"), "Did you mean 'process'"),
    "Mesh: recurrent": (
        lambda _: ho.to_quantum(nn.LSTM(3, 3), bridge="mesh"),
        "LSTM, which has no circuit form",
    ),
    "Generator: depth": (lambda _: Generator(depth=-1), "`depth` must be 1"),
    "Generator: mapping": (lambda _: Generator(mapping="afine"), "Did you mean 'affine'"),
    "to_classical: classical already": (lambda _: ho.to_classical(net()), "no circuit"),
    "to_classical: no network": (lambda _: ho.to_classical("net"), "must be a quantum network"),
    "to_classical: readout": (
        lambda _: ho.to_classical(memory(), readout="angle"),
        "Did you mean 'angles'",
    ),
    "quantum network: batch size": (lambda _: memory().step_cost(0), "`batch_size` must be 1"),
    "quantum network: synthesis": (
        lambda _: memory().circuit(synthesis="gate"),
        "Did you mean 'gates'",
    ),
    "save: no quantum network": (
        lambda folder: ho.save(net(), folder / "a"),
        "contains no circuit",
    ),
    "save: no path": (lambda _: ho.save(memory(), 3), "`path` must be a path"),
    "save: a folder": (lambda folder: ho.save(memory(), folder), "it is a folder"),
    "save: no name of a file": (lambda _: ho.save(memory(), "a\0b"), "Choose another name"),
    "load: no file": (lambda folder: ho.load(folder / "none.ho"), "There is no file"),
    "load: text": (
        lambda folder: ho.load(written(folder, "text")),
        "is no file of `hybridopt.save`",
    ),
    "load: empty": (lambda folder: ho.load(written(folder, "")), "is no file of `hybridopt.save`"),
    "load: half of it": (lambda folder: ho.load(truncated(folder, 0.5), net()), "is damaged"),
    "load: almost all of it": (
        lambda folder: ho.load(truncated(folder, 0.99), net()),
        "is damaged",
    ),
    "load: another class": (
        lambda folder: ho.load(ho.save(memory(), folder / "a.ho"), nn.Linear(3, 3)),
        "holds another network than was given",
    ),
    "transfer: no network": (
        lambda _: ho.transfer(None, num_outputs=3),
        "must be a torch.nn.Module",
    ),
    "transfer: outputs": (lambda _: ho.transfer(net(), num_outputs=0), "`num_outputs` must be 1"),
    "transfer: head": (
        lambda _: ho.transfer(net(), num_outputs=3, head="liner"),
        "Did you mean 'linear'",
    ),
    "transfer: freeze": (
        lambda _: ho.transfer(net(), num_outputs=3, freeze="bodi"),
        'must be "body", "none" or a list',
    ),
    "transfer: names": (
        lambda _: ho.transfer(net(), num_outputs=3, freeze=["7"]),
        "Unknown layer or parameter '7'",
    ),
    "compare: no methods": (lambda _: ho.compare(net(), (X, Y), methods=[]), "`methods` is empty"),
    "compare: method": (
        lambda _: ho.compare(net(), (X, Y), methods=["adma"]),
        "Unknown optimizer or bridge 'adma'",
    ),
    "compare: chain": (
        lambda _: ho.compare(net(), (X, Y), methods=["adam:3 >"]),
        "has an empty stage",
    ),
    "compare: seeds": (
        lambda _: ho.compare(net(), (X, Y), methods=["adam"], seeds=0),
        "`seeds` must be 2",
    ),
    "compare: budget": (
        lambda _: ho.compare(net(), (X, Y), methods=["adam"], budget="5 parsecs"),
        "Unknown unit of a budget 'parsecs'",
    ),
    "load_study: no file": (lambda folder: ho.load_study(folder / "none"), "There is no study at"),
    "load_study: damaged": (
        lambda folder: ho.load_study(written(folder, "{")),
        "is damaged or no study",
    ),
    "recommend: no network": (lambda _: ho.recommend(None, (X, Y)), "network"),
}
