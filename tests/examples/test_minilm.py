"""Tests of the pretrained encoder in a circuit, with a small encoder in place of MiniLM."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn


class Body(nn.Module):
    """Encoder with the interface of BERT: hidden states of tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(90, 12, padding_idx=0)
        self.layer = nn.TransformerEncoderLayer(12, 3, 16, dropout=0.0, batch_first=True)

    def forward(self, input_ids, attention_mask):
        states = self.layer(self.embedding(input_ids), src_key_padding_mask=attention_mask == 0)
        return SimpleNamespace(last_hidden_state=states)


@pytest.fixture
def encoder(example):
    torch.manual_seed(0)
    return example.SentenceEncoder(Body())


@pytest.fixture
def sentences(example):
    torch.manual_seed(1)
    ids = torch.randint(1, 90, (2 * len(example.PAIRS), 6))
    ids[3, 4:] = 0
    return {"input_ids": ids, "attention_mask": (ids > 0).long()}


def test_an_encoder_is_carried_trained_and_carried_back(example, encoder, sentences, capsys):
    report = example.carry(encoder, sentences, lr=0.5)
    text = capsys.readouterr().out
    assert text.count("true: ") == 4
    assert "The step took Cost(settings=2, shots=0, runs=2)" in text
    assert "no advantage" in text
    assert all(seconds >= 0 and peak >= 0 for _, *_, seconds, peak in report.rows)


def test_a_claim_that_does_not_hold_ends_the_example(example, encoder, sentences):
    with pytest.raises(SystemExit, match="loss of one step"):
        example.carry(encoder, sentences, lr=0.0)


def test_embeddings_have_length_one_and_ignore_padding(example, encoder, sentences):
    embeddings = encoder(**sentences)
    torch.testing.assert_close(embeddings.norm(dim=-1), torch.ones(len(embeddings)))
    changed = {**sentences, "input_ids": sentences["input_ids"].clone()}
    changed["input_ids"][3, 4:] = 7
    torch.testing.assert_close(encoder(**changed)[3], embeddings[3])
