"""The Whisper architecture in torch, small, with what makes it learn fast from nothing.

Padding: faster-whisper always gives 3000 frames, nearly all of them padding. All
padding positions look alike, so a few stand for all, weighted by the log of their
number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from training.mel import MEL_BINS
from training.tokens import TOKENS
from voices import VOCABULARY

SOURCE_POSITIONS = 1500
TARGET_POSITIONS = 448
PAD_SAMPLES = 4
POSITION_AMPLITUDE = 0.3
LOCAL_OFFSETS = (-8, -3, 3, 8)  # encoder positions of 20 ms


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the network."""

    width: int = 128
    heads: int = 4
    encoder_layers: int = 3
    decoder_layers: int = 3
    guided_heads: int = 2


def sinusoids(width: int) -> torch.Tensor:
    """(1500, width) positions: slow and fast waves, one radian down to 1/333."""
    rates = torch.logspace(0, -math.log10(333.0), width // 2)
    angles = torch.arange(SOURCE_POSITIONS)[:, None] * rates[None]
    return POSITION_AMPLITUDE * torch.cat([angles.sin(), angles.cos()], dim=1)


class Attention(nn.Module):
    """Multi-head attention; the key has no bias, as in Whisper."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(
        self,
        x: torch.Tensor,
        memory: torch.Tensor,
        *,
        bias: torch.Tensor | None = None,
        causal: bool = False,
    ) -> torch.Tensor:
        mixed = functional.scaled_dot_product_attention(
            self._split(self.query(x)),
            self._split(self.key(memory)),
            self._split(self.value(memory)),
            attn_mask=bias,
            is_causal=causal,
        )
        return self._joined(mixed)

    def watched(
        self, x: torch.Tensor, memory: torch.Tensor, bias: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The same, and the log of the weights (B, heads, U, L)."""
        query, key = self._split(self.query(x)), self._split(self.key(memory))
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1]) + bias
        weights = scores.log_softmax(-1)
        return self._joined(weights.exp() @ self._split(self.value(memory))), weights

    def _joined(self, mixed: torch.Tensor) -> torch.Tensor:
        return self.out(mixed.transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(shape.width)
        self.attention = Attention(shape.width, shape.heads)
        self.feed_norm = nn.LayerNorm(shape.width)
        self.feed_in = nn.Linear(shape.width, 4 * shape.width)
        self.feed_out = nn.Linear(4 * shape.width, shape.width)

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        normed = self.attention_norm(x)
        x = x + self.attention(normed, normed, bias=bias)
        hidden = functional.gelu(self.feed_in(self.feed_norm(x)))
        return x + self.feed_out(hidden)


class DecoderLayer(EncoderLayer):
    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.cross_norm = nn.LayerNorm(shape.width)
        self.cross = Attention(shape.width, shape.heads)

    def step(
        self, x: torch.Tensor, memory: torch.Tensor, bias: torch.Tensor, *, watch: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        normed = self.attention_norm(x)
        x = x + self.attention(normed, normed, causal=True)
        weights = None
        if watch:
            seen, weights = self.cross.watched(self.cross_norm(x), memory, bias)
        else:
            seen = self.cross(self.cross_norm(x), memory, bias=bias)
        x = x + seen
        hidden = functional.gelu(self.feed_in(self.feed_norm(x)))
        return x + self.feed_out(hidden), weights


@dataclass(frozen=True, slots=True)
class Output:
    logits: torch.Tensor  # (B, U, tokens)
    frame_logits: torch.Tensor  # (B, L, words + 1)
    first_weights: torch.Tensor  # (B, heads, U, L + pads), logs, first layer
    last_weights: torch.Tensor  # the same of the last layer


class Whisper(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.shape = shape
        self.conv1 = nn.Conv1d(MEL_BINS, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.register_buffer("positions", sinusoids(width))
        self.encoder = nn.ModuleList(
            EncoderLayer(shape) for _ in range(shape.encoder_layers)
        )
        self.encoder_norm = nn.LayerNorm(width)
        self.frame_words = nn.Linear(width, len(VOCABULARY) + 1)
        self.embedding = nn.Embedding(len(TOKENS), width)
        self.target_positions = nn.Parameter(
            0.05 * torch.randn(TARGET_POSITIONS, width)
        )
        self.decoder = nn.ModuleList(
            DecoderLayer(shape) for _ in range(shape.decoder_layers)
        )
        self.decoder_norm = nn.LayerNorm(width)
        nn.init.normal_(self.embedding.weight, std=0.05)
        for layer in self.encoder:
            look_nearby(layer.attention)

    def forward(
        self, mel: torch.Tensor, tokens: torch.Tensor, *, rows: np.ndarray, total: int
    ) -> Output:
        """`rows` are the positions that stand for the padding of `total` positions."""
        length = mel.shape[1] // 2
        bias = torch.zeros(1, length + len(rows))
        bias[:, length:] = math.log(max(total - length, 1) / len(rows))
        memory = self._encode(mel, torch.from_numpy(rows), bias)
        x = self.embedding(tokens) + self.target_positions[: tokens.shape[1]]
        watched = []
        for index, layer in enumerate(self.decoder):
            watch = index in (0, len(self.decoder) - 1)
            x, weights = layer.step(x, memory, bias, watch=watch)
            watched += [weights] if watch else []
        logits = self.decoder_norm(x) @ self.embedding.weight.T
        frame_logits = self.frame_words(memory[:, :length])
        return Output(logits, frame_logits, watched[0], watched[-1])

    def _encode(
        self, mel: torch.Tensor, rows: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        length = mel.shape[1] // 2
        padded = functional.pad(mel.transpose(1, 2), (0, 2 * (len(rows) + 1)))
        x = functional.gelu(self.conv1(padded))
        x = functional.gelu(self.conv2(x)).transpose(1, 2)
        quiet = x[:, length + 1 : length + 2].expand(-1, len(rows), -1)
        x = torch.cat([x[:, :length], quiet], dim=1)
        x = x + torch.cat([self.positions[:length], self.positions[rows]])
        for layer in self.encoder:
            x = layer(x, bias)
        return self.encoder_norm(x)


@torch.no_grad()
def look_nearby(attention: Attention, *, sharpness: float = 2.0) -> None:
    """Start each head as a narrow window some positions before or after its own."""
    width = attention.query.weight.shape[0]
    size, half = width // attention.heads, width // 2
    rates = torch.logspace(0, -math.log10(333.0), half)
    query = 0.02 * torch.randn(width, width)
    key = 0.02 * torch.randn(width, width)
    for head, offset in zip(range(attention.heads), LOCAL_OFFSETS, strict=False):
        for pair in range(size // 2):
            wave = pair * 3 * half // 4 // (size // 2)
            row = head * size + 2 * pair
            turn = float(rates[wave]) * offset
            query[row, wave] = query[row + 1, half + wave] = math.cos(turn)
            query[row, half + wave] = math.sin(turn)
            query[row + 1, wave] = -math.sin(turn)
            key[row, wave] = key[row + 1, half + wave] = 1.0
    attention.query.weight.copy_(sharpness * query)
    attention.key.weight.copy_(sharpness * key)
    attention.query.bias.zero_()


def draw_padding(
    source: np.random.Generator, *, length: int, full_share: float
) -> tuple[np.ndarray, int]:
    """Positions that stand for the padding, and how many positions there are in all.

    Mostly Whisper's 1500; sometimes fewer, for callers who shorten the audio context.
    """
    total = SOURCE_POSITIONS
    if source.random() > full_share:
        total = int(source.integers(length + PAD_SAMPLES, SOURCE_POSITIONS + 1))
    edges = np.linspace(length, total, PAD_SAMPLES + 1)
    rows = [int(source.uniform(edges[k], edges[k + 1])) for k in range(PAD_SAMPLES)]
    return np.minimum(np.asarray(rows), SOURCE_POSITIONS - 1), total
