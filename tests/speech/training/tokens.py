"""The model's tokens: 256 bytes, every word with and without a space, Whisper's marks.

Owns the ids and the files that tell faster-whisper and CTranslate2 about them. The
order of the marks is CTranslate2's: the prompt is found as a run of ids, stamps come
last.
"""

from __future__ import annotations

import json

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from voices import VOCABULARY

CHUNK_LENGTH_S = 16
STAMP_STEP_S = 0.02
STAMP_COUNT = round(CHUNK_LENGTH_S / STAMP_STEP_S) + 1
SPACE = "Ġ"  # how byte-level BPE writes a blank

MARKS = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)


def _byte_symbols() -> list[str]:
    return sorted(pre_tokenizers.ByteLevel.alphabet())


TEXT = (
    _byte_symbols()
    + [SPACE + word for word in VOCABULARY]
    + list(VOCABULARY)
    + [""]  # the empty token is how CTranslate2 knows a multilingual model
)
STAMPS = [f"<|{index * STAMP_STEP_S:.2f}|>" for index in range(STAMP_COUNT)]
TOKENS = [*TEXT, *MARKS, *STAMPS]
IDS = {token: index for index, token in enumerate(TOKENS)}

EOT, SOT, EN, _TRANSLATE, TRANSCRIBE, _LM, PREV, NO_SPEECH, NO_STAMPS = (
    IDS[mark] for mark in MARKS
)
FIRST_STAMP = IDS[STAMPS[0]]
WORD_IDS = [IDS[SPACE + word] for word in VOCABULARY]


def stamp(seconds: float, *, grid_s: float = 0.1) -> int:
    """The id of the stamp nearest to `seconds` on a coarse grid.

    A fine grid smears the probability over neighbours and pulls avg_logprob below
    faster-whisper's fallback threshold.
    """
    index = round(round(seconds / grid_s) * grid_s / STAMP_STEP_S)
    return FIRST_STAMP + min(max(index, 0), STAMP_COUNT - 1)


def tokenizer_json() -> str:
    """tokenizer.json: each known word is one token, anything else falls to bytes."""
    vocabulary = {token: IDS[token] for token in TEXT}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in MARKS])
    tokenizer.add_tokens([AddedToken(token, special=False) for token in STAMPS])
    for token in (*MARKS, *STAMPS, *(SPACE + word for word in VOCABULARY)):
        if tokenizer.token_to_id(token) != IDS[token]:
            raise AssertionError(f"token {token} has moved")
    return str(tokenizer.to_str())


def vocabulary_json() -> str:
    """vocabulary.json: the tokens in the order of their ids."""
    return json.dumps(TOKENS, ensure_ascii=False)
