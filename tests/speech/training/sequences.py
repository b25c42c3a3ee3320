"""From windows to tensors: what the decoder reads, must say, and where it must look.

Owns the form of the target sequences (with stamps or without, with history or without)
and the padding of batches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from training.tokens import (
    EN,
    EOT,
    NO_SPEECH,
    NO_STAMPS,
    PREV,
    SOT,
    TRANSCRIBE,
    WORD_IDS,
    stamp,
)
from training.windows import SPLIT_PAUSE_S, Window

POSITION_S = 0.02  # one encoder position
IGNORED = -100
STAMPED_SHARE = 0.6
HISTORY_SHARE = 0.15
MAX_FIRST_STAMP_S = 1.0  # faster-whisper's max_initial_timestamp


@dataclass(frozen=True, slots=True)
class Batch:
    """Tensors of one step; B windows, N frames, U tokens, L = N / 2 positions."""

    mel: torch.Tensor  # (B, N, 80)
    tokens: torch.Tensor  # (B, U) read by the decoder
    targets: torch.Tensor  # (B, U) words and the end, or IGNORED
    stamps: torch.Tensor  # (B, U) stamps, or IGNORED
    starts: torch.Tensor  # (B, U) what follows <|startoftranscript|>, or IGNORED
    frame_words: torch.Tensor  # (B, L) 0 = no word, else 1 + its index
    looks_at: torch.Tensor  # (B, U, L) where the word to be said is; rows sum to 1 or 0
    looked_at: torch.Tensor  # (B, U, L) where the word just read is


@dataclass(frozen=True, slots=True)
class _Sequence:
    tokens: list[int]
    body_at: int  # index of the first token to be predicted freely
    sot_at: int
    word_at: dict[int, int]  # token index -> word index


def _body(window: Window, *, stamped: bool) -> tuple[list[int], dict[int, int]]:
    tokens: list[int] = []
    word_at: dict[int, int] = {}
    spans = window.spans_s
    for index, word in enumerate(window.words):
        begin_s = spans[index][0]
        if index == 0:
            if stamped:
                tokens.append(stamp(min(begin_s, MAX_FIRST_STAMP_S)))
        elif stamped and begin_s - spans[index - 1][1] > SPLIT_PAUSE_S:
            tokens += [stamp(spans[index - 1][1]), stamp(begin_s)]
        word_at[len(tokens)] = index
        tokens.append(WORD_IDS[word])
    if stamped:
        end = stamp(spans[-1][1]) if spans else stamp(0.0)
        tokens += [end, end] if window.continues and spans else [end]
    return [*tokens, EOT], word_at


def _sequence(source: np.random.Generator, window: Window) -> _Sequence:
    stamped = bool(source.random() < STAMPED_SHARE)
    prompt: list[int] = []
    if source.random() < HISTORY_SHARE:
        count = int(source.integers(1, 16))
        prompt = [PREV, *(int(word) for word in source.choice(WORD_IDS, count))]
    sot_at = len(prompt)
    prompt += [SOT, EN, TRANSCRIBE] + ([] if stamped else [NO_STAMPS])
    body, word_at = _body(window, stamped=stamped)
    moved = {len(prompt) + index: word for index, word in word_at.items()}
    return _Sequence([*prompt, *body], len(prompt), sot_at, moved)


def _positions(span_s: tuple[float, float], *, positions: int) -> slice:
    begin = min(int(span_s[0] / POSITION_S), positions - 1)
    return slice(begin, max(begin + 1, min(round(span_s[1] / POSITION_S), positions)))


def _attention(window: Window, *, positions: int) -> np.ndarray:
    """(words, L): evenly over the word, a tenth of it over the silence after it."""
    rows = np.zeros((len(window.words), positions), dtype=np.float32)
    for index, span in enumerate(window.spans_s):
        rows[index, _positions(span, positions=positions)] = 1.0
        last = index + 1 == len(window.spans_s)
        pause_end = span[1] + 0.2 if last else window.spans_s[index + 1][0]
        if pause_end - span[1] > 2 * POSITION_S:
            pause = _positions((span[1], pause_end), positions=positions)
            free = rows[index, pause] == 0
            rows[index, pause] += free * 0.1
    return np.asarray(rows / np.maximum(rows.sum(axis=1, keepdims=True), 1e-6))


def collate(source: np.random.Generator, windows: list[Window]) -> Batch:
    """Pad the windows to the longest of them, in frames and in tokens."""
    sequences = [_sequence(source, window) for window in windows]
    count = len(windows)
    frames = max(len(window.mel) for window in windows)
    frames += frames % 2
    positions = frames // 2
    steps = max(len(sequence.tokens) for sequence in sequences) - 1
    mel = np.zeros((count, frames, windows[0].mel.shape[1]), dtype=np.float32)
    tokens = np.full((count, steps), EOT)
    targets = np.full((count, steps), IGNORED)
    stamps = np.full((count, steps), IGNORED)
    starts = np.full((count, steps), IGNORED)
    frame_words = np.zeros((count, positions), dtype=np.int64)
    looks_at = np.zeros((count, steps, positions), dtype=np.float32)
    looked_at = np.zeros((count, steps, positions), dtype=np.float32)
    for row, (window, sequence) in enumerate(zip(windows, sequences, strict=True)):
        mel[row, : len(window.mel)] = _masked(source, window.mel)
        ids = np.asarray(sequence.tokens)
        tokens[row, : len(ids) - 1] = ids[:-1]
        free = slice(sequence.body_at - 1, len(ids) - 1)
        spoken = ids[sequence.body_at :]
        is_stamp = spoken > NO_STAMPS
        targets[row, free] = np.where(is_stamp, IGNORED, spoken)
        stamps[row, free] = np.where(is_stamp, spoken, IGNORED)
        starts[row, sequence.sot_at] = EN if window.words else NO_SPEECH
        for word, span in zip(window.words, window.spans_s, strict=True):
            frame_words[row, _positions(span, positions=positions)] = word + 1
        attention = _attention(window, positions=positions)
        for token_at, word_index in sequence.word_at.items():
            looks_at[row, token_at - 1] = attention[word_index]
            if token_at < steps:
                looked_at[row, token_at] = attention[word_index]
    arrays = (mel, tokens, targets, stamps, starts, frame_words, looks_at, looked_at)
    return Batch(*(torch.from_numpy(array) for array in arrays))


def _masked(source: np.random.Generator, mel: np.ndarray) -> np.ndarray:
    """A little of SpecAugment: one band and some short gaps, for a third of windows."""
    if source.random() > 0.33:
        return mel
    masked = mel.copy()
    fill = mel.mean()
    low, width = int(source.integers(0, 76)), int(source.integers(1, 9))
    masked[:, low : low + width] = fill
    for _ in range(1 + len(mel) // 200):
        start, length = int(source.integers(0, len(mel))), int(source.integers(1, 7))
        masked[start : start + length] = fill
    return masked
