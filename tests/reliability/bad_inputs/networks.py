"""Bad arguments of conversion, storage, transfer and comparison."""

from __future__ import annotations

from torch import nn

import hybridopt as ho
from hybridopt.bridges import Generator, Memory, Mesh, RandomSubspace, Twin
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    CheckpointError,
    ConversionError,
    OutputError,
    ResourceError,
    UnknownNameError,
    UnsupportedError,
)
from tests.reliability.bad_inputs.parts import (
    NAN,
    Bad,
    X,
    Y,
    frozen,
    infinite,
    memory,
    net,
    truncated,
    written,
)

NETWORKS: Bad = {
    ArgumentError: {
        "to_quantum: option beside instance": (
            lambda _: memory(bridge=Memory(), form="full"),
            "`form` must be set on the instance",
        ),
        "Memory: scale 0": (lambda _: Memory(scale=0.0), "`scale` must be greater than 0"),
        "Memory: scale NaN": (lambda _: Memory(scale=NAN), "`scale` must be finite"),
        "Memory: no angles": (
            lambda _: memory(num_angles=0),
            "`num_angles` must be at least 1 (got 0)",
        ),
        "Memory: more angles than places": (
            lambda _: memory(num_angles=1000),
            "`num_angles` must be at most 32",
        ),
        "Memory: frozen": (lambda _: memory(frozen=True), "`frozen` must be False"),
        "RandomSubspace: size": (lambda _: RandomSubspace(num_parameters=0), "`num_parameters`"),
        "Generator: depth": (lambda _: Generator(depth=-1), "`depth` must be at least 1"),
        "quantum network: batch size": (lambda _: memory().step_cost(0), "`batch_size`"),
        "transfer: outputs": (lambda _: ho.transfer(net(), num_outputs=0), "`num_outputs`"),
        "transfer: freeze": (
            lambda _: ho.transfer(net(), num_outputs=3, freeze="bodi"),
            "`freeze` must be a list if it has names of layers (got 'bodi')",
        ),
        "compare: no methods": (lambda _: ho.compare(net(), (X, Y), methods=[]), "`methods`"),
        "compare: chain": (
            lambda _: ho.compare(net(), (X, Y), methods=["adam:3 >"]),
            "Method 'adam:3 >'",
        ),
        "compare: seeds": (
            lambda _: ho.compare(net(), (X, Y), methods=["adam"], seeds=0),
            "`seeds` must be at least 2",
        ),
        "compare: judge without circuits": (
            lambda _: ho.compare(net(), (X, Y), methods=["adam"], judge=ho.AerExecutor()),
            "`judge` must be None",
        ),
        "compare: executor without circuits": (
            lambda _: ho.compare(
                net(), (X, Y), methods=[ho.Method("adam", executor=ho.AerExecutor())]
            ),
            "Method 'adam': `executor` must be None",
        ),
        "recommend: no network": (lambda _: ho.recommend(None, (X, Y)), "Function `network`"),
    },
    ArgumentTypeError: {
        "compare: client": (
            lambda _: ho.compare(net(), (X, Y), methods=["adam"], client="tcp://here:8786"),
            "`client` must be a distributed.Client",
        ),
        "compare: judge": (
            lambda _: ho.compare(net(), (X, Y), methods=["memory"], judge="FakeManilaV2"),
            "`judge` must be an executor",
        ),
        "Method: schedule": (
            lambda _: ho.Method("memory", executor=[ho.AerExecutor()]),
            "`executor` must be an executor or a list of pairs",
        ),
        "to_quantum: no network": (
            lambda _: ho.to_quantum(None),
            "`network` must be a torch.nn.Module (got None",
        ),
        "to_quantum: class": (
            lambda _: ho.to_quantum(nn.Linear),
            "`network` must be a torch.nn.Module (got the class Linear",
        ),
        "to_quantum: bridge class": (
            lambda _: memory(bridge=Memory),
            "bridge must be a name (got the class Memory",
        ),
        "to_quantum: executor": (lambda _: memory(executor="aer"), "`executor` must be"),
        "to_classical: no network": (lambda _: ho.to_classical("net"), "`network`"),
        "save: no path": (lambda _: ho.save(memory(), 3), "`path` must be a path"),
        "transfer: no network": (lambda _: ho.transfer(None, num_outputs=3), "`network`"),
    },
    CheckpointError: {
        "load: no file": (lambda folder: ho.load(folder / "none.ho"), "Cannot read"),
        "load: text": (
            lambda folder: ho.load(written(folder, "text")),
            "file.qasm must be a file of `hybridopt.save`",
        ),
        "load: empty": (
            lambda folder: ho.load(written(folder, "")),
            "file.qasm must be a file of `hybridopt.save`",
        ),
        "load: half of it": (
            lambda folder: ho.load(truncated(folder, 0.5), net()),
            "network.ho is damaged",
        ),
        "load: almost all of it": (
            lambda folder: ho.load(truncated(folder, 0.99), net()),
            "network.ho is damaged",
        ),
        "load: another class": (
            lambda folder: ho.load(ho.save(memory(), folder / "a.ho"), nn.Linear(3, 3)),
            "a.ho: `0.bias` is (4,) in the file",
        ),
        "load_study: no file": (
            lambda folder: ho.load_study(folder / "none"),
            "none does not exist",
        ),
        "load_study: damaged": (
            lambda folder: ho.load_study(written(folder, "{")),
            "file.qasm is damaged or not a study",
        ),
    },
    ConversionError: {
        "to_quantum: frozen": (
            lambda _: ho.to_quantum(frozen()),
            "`network` must have a trainable parameter (got requires_grad=False",
        ),
        "to_quantum: no weights": (
            lambda _: ho.to_quantum(nn.Tanh()),
            "`network` must have trainable weights (got a Tanh",
        ),
        "to_quantum: infinite weight": (lambda _: ho.to_quantum(infinite()), "`0.weight`"),
        "to_quantum: lazy": (lambda _: ho.to_quantum(nn.LazyLinear(3)), "`weight`"),
        "Memory: scale smaller than the weights": (
            lambda _: memory(bridge=Memory(form="full", scale=1e-6)),
            "`scale` of tensor `0.weight` must be at least its largest weight",
        ),
        "Mesh: recurrent": (
            lambda _: ho.to_quantum(nn.LSTM(3, 3), bridge="mesh"),
            "LSTM, which has no mesh",
        ),
        "to_classical: classical already": (lambda _: ho.to_classical(net()), "`network`"),
        "save: no quantum network": (lambda folder: ho.save(net(), folder / "a"), "`module`"),
    },
    OutputError: {
        "save: a folder": (
            lambda folder: ho.save(memory(), folder),
            "must be a file (got a folder)",
        ),
        "save: no name of a file": (lambda _: ho.save(memory(), "a\0b"), "'a\\x00b'"),
    },
    ResourceError: {
        "to_quantum: too large": (
            lambda _: memory(executor=ho.AerExecutor(max_memory=64)),
            "`max_memory` must be at least 3.08 kB for a circuit of 6 qubits (got 64 B)",
        ),
    },
    UnknownNameError: {
        "to_quantum: bridge": (
            lambda _: memory(bridge="memroy"),
            "bridge 'memroy'. Did you mean 'memory'",
        ),
        "to_quantum: option": (lambda _: memory(fom="full"), "'fom'. Did you mean 'form'"),
        "to_quantum: gradient": (
            lambda _: memory(gradient="parameter_shift"),
            "gradient 'parameter_shift'. Did you mean 'parameter-shift'",
        ),
        "Memory: form": (lambda _: Memory(form="ful"), "form 'ful'. Did you mean 'full'"),
        "Memory: scale of no tensor": (
            lambda _: memory(scale={"5.weight": 1.0}),
            "`scale` '5.weight'",
        ),
        "Memory: merge": (lambda _: Memory(merge="step"), "merge 'step'"),
        "Twin: of nothing": (
            lambda _: Twin(of="memroy"),
            "bridge of a twin 'memroy'. Did you mean 'memory'",
        ),
        "Mesh: unknown layer": (
            lambda _: memory(bridge=Mesh(keep_classical=("9",))),
            "`keep_classical` '9'",
        ),
        "Mesh: readout": (
            lambda _: Mesh(readout="proces"),
            "readout 'proces'. Did you mean 'process'",
        ),
        "Generator: mapping": (
            lambda _: Generator(mapping="afine"),
            "mapping 'afine'. Did you mean 'affine'",
        ),
        "to_classical: readout": (
            lambda _: ho.to_classical(memory(), readout="angle"),
            "readout 'angle'. Did you mean 'angles'",
        ),
        "quantum network: synthesis": (
            lambda _: memory().circuit(synthesis="gate"),
            "synthesis 'gate'. Did you mean 'gates'",
        ),
        "transfer: head": (
            lambda _: ho.transfer(net(), num_outputs=3, head="liner"),
            "head 'liner'. Did you mean 'linear'",
        ),
        "transfer: names": (
            lambda _: ho.transfer(net(), num_outputs=3, freeze=["7"]),
            "layer or parameter '7'",
        ),
        "compare: method": (
            lambda _: ho.compare(net(), (X, Y), methods=["adma"]),
            "optimizer or bridge 'adma'",
        ),
        "compare: budget": (
            lambda _: ho.compare(net(), (X, Y), methods=["adam"], budget="5 parsecs"),
            "unit of a budget 'parsecs'",
        ),
    },
    UnsupportedError: {
        "to_quantum: gradient that does not fit": (
            lambda _: memory(gradient="adjoint"),
            '`gradient` must be "parameter-shift" for a memory',
        ),
    },
}
