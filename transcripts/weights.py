"""The speech model's folder: found, checked file by file, or fetched once.

A folder is never looked up on a hub by its name: faster-whisper takes a missing
relative path for the name of a repository and goes to the network.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings

from sessions.errors import VoiceError

log = structlog.get_logger(__name__)

MODEL_CARD = "model_card.json"
# Without a tokenizer faster-whisper asks the hub for one, for 23 seconds.
_NEEDED = ("model.bin", "config.json", "tokenizer.json")
_VOCABULARY = ("vocabulary.json", "vocabulary.txt")
# The mel bands differ from 80 in these only, and the file is what says so.
_NEEDS_PREPROCESSOR = ("large-v3", "turbo")


# A hub that did not answer is left alone for so long.
_DOWNLOAD_PAUSE_S = 60.0
_failed_at: dict[Path, float] = {}


class ModelMissingError(VoiceError):
    """There is no speech model to load; `message` says which file or folder lacks.

    People on the page read the message: the machine's path is in `folder`, for logs.
    """

    def __init__(self, message: str, *, folder: Path | None = None) -> None:
        super().__init__("model_missing", message, status=503)
        self.folder = folder


@dataclass(frozen=True, slots=True)
class Weights:
    """A folder that has everything, and what its card says about it."""

    folder: Path
    name: str
    demo: bool = False


def locate(model: str = "") -> Weights:
    """The folder of a model, of `STT_MODEL` where none is named. Raises
    ModelMissingError; fetches nothing."""
    model = model or settings.STT_MODEL
    folder = _folder(model)
    lacking = lacks(folder, name=model)
    if lacking:
        message = f"Speech model {model!r}: {lacking}."
        raise ModelMissingError(message, folder=folder)
    card = _card(folder)
    name = card.get("name") or (model if is_size(model) else folder.name)
    return Weights(folder, name=str(name), demo=card.get("demo") is True)


def fetch() -> Weights:
    """As `locate`, but a missing model of a known size is downloaded first.

    May take minutes; interrupted, it goes on where it stopped.
    """
    try:
        return locate()
    except ModelMissingError:
        if not (is_size() and settings.STT_DOWNLOAD):
            raise
    _download(settings.STT_MODEL, _folder(settings.STT_MODEL))
    return locate()


def is_size(model: str = "") -> bool:
    """Whether it is a size faster-whisper knows, and not a folder of ours."""
    from faster_whisper import available_models

    return (model or settings.STT_MODEL) in available_models()


def lacks(folder: Path, *, name: str = "") -> str:
    """What the folder lacks, in words; empty when faster-whisper can load it."""
    if not folder.is_dir():
        return "its folder does not exist"
    missing = [file for file in _NEEDED if not _has(folder, file)]
    if not any(_has(folder, file) for file in _VOCABULARY):
        missing.append(" or ".join(_VOCABULARY))
    wide = any(part in f"{name} {folder.name}" for part in _NEEDS_PREPROCESSOR)
    if wide and not _has(folder, "preprocessor_config.json"):
        missing.append("preprocessor_config.json")
    return f"its folder lacks {', '.join(missing)}" if missing else ""


def _folder(model: str) -> Path:
    if is_size(model):
        return Path(settings.STT_MODELS_DIR) / model
    beside = Path(settings.BASE_DIR) / model
    if beside.exists() or os.sep in model or "/" in model:
        return beside.resolve()  # an absolute path stays what it is
    kept = Path(settings.STT_MODELS_DIR) / model
    if kept.exists():
        return kept.resolve()
    raise ModelMissingError(f"STT_MODEL={model!r} is neither a size nor a folder.")


def _has(folder: Path, file: str) -> bool:
    path = folder / file
    return path.is_file() and path.stat().st_size > 0


def _card(folder: Path) -> dict[str, Any]:
    try:
        card = json.loads((folder / MODEL_CARD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        log.warning("model.card_unreadable", folder=str(folder), exc_info=True)
        return {}
    return card if isinstance(card, dict) else {}


def _download(model: str, folder: Path) -> None:
    from faster_whisper import download_model

    message = f"Speech model {model!r} could not be downloaded."
    if (
        time.monotonic() - _failed_at.get(folder, -_DOWNLOAD_PAUSE_S)
        < _DOWNLOAD_PAUSE_S
    ):
        raise ModelMissingError(message, folder=folder)
    log.info("model.download", model=model, folder=str(folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            # faster-whisper still passes an argument that the hub's client ignores.
            warnings.filterwarnings("ignore", message=".*local_dir_use_symlinks.*")
            download_model(model, output_dir=str(folder))
    except Exception as e:
        # The hub's client raises errors of many libraries; all mean the same here.
        log.warning("model.download_failed", model=model, exc_info=True)
        _failed_at[folder] = time.monotonic()
        raise ModelMissingError(message, folder=folder) from e
    log.info("model.downloaded", model=model)
