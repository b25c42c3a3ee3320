"""From torch weights to the five files that faster-whisper loads.

Uses CTranslate2's own description of Whisper; transformers is not needed. The head that
names words frame by frame is left behind.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ctranslate2.specs import WhisperSpec
from training.network import Attention, EncoderLayer, Shape, Whisper
from training.tokens import (
    CHUNK_LENGTH_S,
    EN,
    TOKENS,
    tokenizer_json,
    vocabulary_json,
)


def load(weights: Path) -> Whisper:
    """The network with the weights that training wrote."""
    network = Whisper(Shape())
    state = torch.load(weights, weights_only=True)
    missing, unknown = network.load_state_dict(state, strict=False)
    if unknown or set(missing) - {"positions"}:
        raise ValueError(f"{weights} is of another shape: {missing} {unknown}")
    return network.eval()


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().float().contiguous().numpy()


def _norm(spec: Any, module: torch.nn.LayerNorm) -> None:
    spec.gamma, spec.beta = _array(module.weight), _array(module.bias)


def _linear(spec: Any, *modules: torch.nn.Linear) -> None:
    """One spec for linears that CTranslate2 runs as one; a missing bias is zero."""
    spec.weight = np.concatenate([_array(module.weight) for module in modules])
    spec.bias = np.concatenate(
        [
            np.zeros(module.out_features, np.float32)
            if module.bias is None
            else _array(module.bias)
            for module in modules
        ]
    )


def _self_attention(spec: Any, module: Attention, norm: torch.nn.LayerNorm) -> None:
    _norm(spec.layer_norm, norm)
    _linear(spec.linear[0], module.query, module.key, module.value)
    _linear(spec.linear[1], module.out)


def _cross_attention(spec: Any, module: Attention, norm: torch.nn.LayerNorm) -> None:
    _norm(spec.layer_norm, norm)
    _linear(spec.linear[0], module.query)
    _linear(spec.linear[1], module.key, module.value)
    _linear(spec.linear[2], module.out)


def _feed_forward(spec: Any, layer: EncoderLayer) -> None:
    _norm(spec.layer_norm, layer.feed_norm)
    _linear(spec.linear_0, layer.feed_in)
    _linear(spec.linear_1, layer.feed_out)


def specification(network: Whisper) -> WhisperSpec:
    """The network as CTranslate2 describes it."""
    shape = network.shape
    spec = WhisperSpec(
        shape.encoder_layers, shape.heads, shape.decoder_layers, shape.heads
    )
    for name in ("conv1", "conv2"):
        getattr(spec.encoder, name).weight = _array(getattr(network, name).weight)
        getattr(spec.encoder, name).bias = _array(getattr(network, name).bias)
    spec.encoder.position_encodings.encodings = _array(network.positions)
    _norm(spec.encoder.layer_norm, network.encoder_norm)
    for part, layer in zip(spec.encoder.layer, network.encoder, strict=True):
        _self_attention(part.self_attention, layer.attention, layer.attention_norm)
        _feed_forward(part.ffn, layer)
    spec.decoder.embeddings.weight = _array(network.embedding.weight)
    spec.decoder.projection.weight = _array(network.embedding.weight)
    spec.decoder.position_encodings.encodings = _array(network.target_positions)
    _norm(spec.decoder.layer_norm, network.decoder_norm)
    for part, layer in zip(spec.decoder.layer, network.decoder, strict=True):
        _self_attention(part.self_attention, layer.attention, layer.attention_norm)
        _cross_attention(part.attention, layer.cross, layer.cross_norm)
        _feed_forward(part.ffn, layer)
    return spec


def export(weights: Path, folder: Path) -> None:
    """Write the model's files into `folder`, each replaced in one move."""
    network = load(weights)
    spec = specification(network)
    spec.register_vocabulary(TOKENS)
    last = network.shape.decoder_layers - 1
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []  # else silence must invent a word
    spec.config.lang_ids = [EN]
    spec.config.alignment_heads = [
        [last, head] for head in range(network.shape.guided_heads)
    ]
    spec.validate()
    spec.optimize(quantization="int8_float16")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        spec.save(name)
        (made / "vocabulary.json").write_text(vocabulary_json(), encoding="utf-8")
        (made / "tokenizer.json").write_text(tokenizer_json(), encoding="utf-8")
        (made / "preprocessor_config.json").write_text(
            json.dumps(_features(), indent=2) + "\n", encoding="utf-8"
        )
        for path in sorted(made.iterdir()):
            near = folder / f".{path.name}.partial"
            shutil.copyfile(path, near)
            near.replace(folder / path.name)


def _features() -> dict[str, int]:
    return {
        "chunk_length": CHUNK_LENGTH_S,
        "feature_size": 80,
        "hop_length": 160,
        "n_fft": 400,
        "sampling_rate": 16_000,
    }
