"""The speech engine with the repository's own model, on sound that was never heard."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from django.test import override_settings
from fake_engine import FakeEngine, MissingEngine
from numpy.typing import NDArray
from pytest_django.fixtures import Settings
from rooms import Room
from speech import voices

from transcripts import engines, keeper, status, stt, tasks, weights
from transcripts.engines import Loader
from transcripts.stt import WhisperEngine, cut_to_budget
from transcripts.weights import ModelMissingError

MODEL = Path(__file__).resolve().parents[1] / "speech" / "model"


@pytest.fixture(scope="module")
def whisper() -> Iterator[WhisperEngine]:
    with override_settings(STT_MODEL=str(MODEL), STT_CPU_THREADS=1):
        yield WhisperEngine()


def pcm(sound: NDArray[np.int16]) -> bytes:
    return sound.astype("<i2").tobytes()


def edits(said: list[str], heard: list[str]) -> int:
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, start=1):
        row, before = [i], row
        for j, other in enumerate(heard, start=1):
            row.append(min(before[j - 1] + (word != other), before[j] + 1, row[-1] + 1))
    return row[-1]


# --- hearing ---


def test_it_hears_unseen_phrases_in_unseen_voices(whisper: WhisperEngine) -> None:
    words = errors = 0
    for number, phrase in enumerate(voices.unseen_phrases(25, seed=5)):
        voice = voices.UNSEEN_VOICES[number % len(voices.UNSEEN_VOICES)]
        sound = voices.speak(phrase, voice=voice, lead_s=0.4, tail_s=0.4)
        heard = whisper.final(pcm(sound), language="en").text
        words += len(phrase.split())
        errors += edits(phrase.split(), heard.split())
    assert words >= 80
    assert errors / words <= 0.15


def test_words_have_their_times_in_order(whisper: WhisperEngine) -> None:
    sound = voices.speak("send the budget report", lead_s=0.4, tail_s=0.4)
    heard = whisper.final(pcm(sound), language="en")
    assert [word.text for word in heard.words] == heard.text.split()
    times = [time for word in heard.words for time in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert times[-1] <= len(sound) / 16_000 + 0.1
    assert 0.3 < heard.confidence <= 1.0


@pytest.mark.parametrize("kind", ["silence", "noise", "hum"])
def test_it_hears_nothing_where_nobody_speaks(
    whisper: WhisperEngine, kind: str
) -> None:
    t = np.arange(3 * 16_000)
    sound = {
        "silence": np.zeros(len(t), np.int16),
        "noise": np.random.default_rng(1).normal(0, 800, len(t)).astype(np.int16),
        "hum": (3000 * np.sin(2 * np.pi * 50 * t / 16_000)).astype(np.int16),
    }[kind]
    assert whisper.final(pcm(sound), language="en").text == ""
    assert whisper.partial(pcm(sound), language="en").text == ""


def test_provisional_words_are_cheap_and_have_no_times(whisper: WhisperEngine) -> None:
    sound = voices.speak("open the project plan", lead_s=0.4)
    heard = whisper.partial(pcm(sound), language="en")
    assert heard.text
    assert heard.words == ()


def test_a_shorter_context_hears_speech_too(
    whisper: WhisperEngine, settings: Settings
) -> None:
    settings.STT_PARTIAL_CONTEXT = True
    sound = voices.speak("hello team", lead_s=0.4)
    asked: list[int] = []
    encode = whisper._model.model.encode

    class Spy:
        """The native model, noting how many frames it is given."""

        def __getattr__(self, name: str) -> object:
            return getattr(native, name)

        def encode(self, features: object, to_cpu: bool) -> object:
            asked.append(features.shape[-1])  # type: ignore[attr-defined]
            return encode(features, to_cpu=to_cpu)

    native, whisper._model.model = whisper._model.model, Spy()
    try:
        whisper.partial(pcm(sound), language="en")
        whisper.final(pcm(sound), language="en")
    finally:
        whisper._model.model = native
    assert asked[0] < 600
    assert asked[-1] == 3000


def test_it_takes_any_sound_and_any_language(whisper: WhisperEngine) -> None:
    assert whisper.final(b"", language="en").text == ""
    assert whisper.final(b"\0", language="en").text == ""
    sound = pcm(voices.speak("hello team", lead_s=0.4))
    for language in ("", "en", "en-US", "EN_us", "klingon"):
        heard = whisper.final(sound + b"\0", language=language)
        assert (heard.language, heard.text) == ("en", "hello team")


def test_threads_may_share_it(whisper: WhisperEngine) -> None:
    phrases = voices.unseen_phrases(4, seed=9)
    sounds = [pcm(voices.speak(phrase, lead_s=0.4)) for phrase in phrases]
    alone = [whisper.final(sound, language="en").text for sound in sounds]
    together = [""] * len(sounds)

    def hear(at: int) -> None:
        together[at] = whisper.final(sounds[at], language="en").text

    threads = [threading.Thread(target=hear, args=(at,)) for at in range(len(sounds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert together == alone


def test_it_says_that_it_is_a_demo_model(whisper: WhisperEngine) -> None:
    assert whisper.demo
    assert whisper.name == "Parley demo model"


def test_it_never_asks_the_network(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []

    def refuse(self: object, address: object) -> None:
        tried.append(address)
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    settings.STT_MODEL = str(MODEL)
    heard = WhisperEngine().final(pcm(voices.speak("hello team")), language="")
    assert heard.text
    assert tried == []


def test_hotwords_are_cut_at_a_word() -> None:
    def letters(text: str) -> int:
        return len(text.replace(" ", ""))

    assert cut_to_budget("alpha, beta gamma", count=letters, budget=12) == "alpha, beta"
    assert cut_to_budget("alpha beta", count=letters, budget=9) == "alpha beta"
    assert cut_to_budget("  ", count=letters) == ""
    assert cut_to_budget("toolongaword", count=letters, budget=3) == ""


def test_many_hotwords_do_not_break_it(settings: Settings) -> None:
    settings.STT_MODEL = str(MODEL)
    settings.STT_HOTWORDS = "budget review " * 200
    engine = WhisperEngine()
    assert 0 < engine._count_tokens(engine._hotwords) <= stt.HOTWORD_TOKENS
    sound = pcm(voices.speak("hello team", lead_s=0.4, tail_s=12.0))
    engine.final(sound, language="en")
    engine.partial(sound, language="en")


# --- the folder ---


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whatever is asked of the hub; it has nothing."""
    asked: list[str] = []

    def refuse(model: str, **_: object) -> None:
        asked.append(model)
        raise ConnectionError("no hub")

    monkeypatch.setattr("faster_whisper.download_model", refuse)
    weights._failed_at.clear()
    return asked


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    copy = tmp_path / "model"
    shutil.copytree(MODEL, copy)
    settings.STT_MODEL = str(copy)
    return copy


@pytest.mark.parametrize("file", ["model.bin", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("way", ["absent", "empty"])
def test_it_says_which_file_is_missing(
    folder: Path, file: str, way: str, no_hub: list[str]
) -> None:
    (folder / file).unlink()
    if way == "empty":
        (folder / file).touch()
    with pytest.raises(ModelMissingError, match=file):
        weights.fetch()
    assert no_hub == []


def test_either_vocabulary_will_do(folder: Path) -> None:
    (folder / "vocabulary.json").rename(folder / "vocabulary.txt")
    weights.locate()
    (folder / "vocabulary.txt").unlink()
    with pytest.raises(ModelMissingError, match="vocabulary"):
        weights.locate()


def test_the_largest_models_need_one_file_more(
    folder: Path, settings: Settings
) -> None:
    (folder / "preprocessor_config.json").unlink()
    weights.locate()
    large = folder.rename(folder.with_name("faster-whisper-large-v3"))
    settings.STT_MODEL = str(large)
    with pytest.raises(ModelMissingError, match="preprocessor_config"):
        weights.locate()


@pytest.mark.parametrize("model", ["models/nowhere", "./nowhere", "org/name", "nope"])
def test_a_missing_folder_is_never_looked_up_on_a_hub(
    settings: Settings, no_hub: list[str], model: str
) -> None:
    settings.STT_MODEL = model
    with pytest.raises(ModelMissingError):
        WhisperEngine()
    assert no_hub == []


def test_a_path_is_meant_from_the_projects_folder(settings: Settings) -> None:
    settings.STT_MODEL = "tests/speech/model"
    assert weights.locate().folder == MODEL


def test_people_do_not_read_the_machines_paths(settings: Settings) -> None:
    settings.STT_MODEL = "small"
    settings.STT_MODELS_DIR = Path("/somewhere/secret")
    with pytest.raises(ModelMissingError) as caught:
        weights.locate()
    assert "secret" not in caught.value.message
    assert caught.value.folder == Path("/somewhere/secret/small")


@pytest.mark.parametrize("file", ["model.bin", "tokenizer.json", "config.json"])
def test_a_broken_file_is_a_missing_model(folder: Path, file: str) -> None:
    (folder / file).write_bytes(b"{not a model")
    with pytest.raises(ModelMissingError, match="could not be loaded"):
        WhisperEngine()


def test_an_unreadable_card_is_no_card(folder: Path) -> None:
    (folder / "model_card.json").write_text("{", encoding="utf-8")
    found = weights.locate()
    assert (found.name, found.demo) == ("model", False)


# --- downloading ---


def test_a_known_size_is_fetched_into_its_folder(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.STT_MODEL, settings.STT_MODELS_DIR = "small", tmp_path
    settings.STT_DOWNLOAD = True
    asked: list[str] = []

    def deliver(model: str, *, output_dir: str) -> None:
        asked.append(model)
        shutil.copytree(MODEL, output_dir, dirs_exist_ok=True)

    monkeypatch.setattr("faster_whisper.download_model", deliver)
    assert weights.fetch().folder == tmp_path / "small"
    assert weights.fetch().folder == tmp_path / "small"
    assert asked == ["small"]


def test_nothing_is_fetched_when_that_is_off(
    settings: Settings, tmp_path: Path, no_hub: list[str]
) -> None:
    settings.STT_MODEL, settings.STT_MODELS_DIR = "small", tmp_path
    settings.STT_DOWNLOAD = False
    with pytest.raises(ModelMissingError, match="folder"):
        weights.fetch()
    assert no_hub == []


def test_a_hub_that_is_away_is_left_alone_for_a_while(
    settings: Settings, tmp_path: Path, no_hub: list[str]
) -> None:
    settings.STT_MODEL, settings.STT_MODELS_DIR = "small", tmp_path
    settings.STT_DOWNLOAD = True
    for _ in range(3):
        with pytest.raises(ModelMissingError, match="downloaded"):
            weights.fetch()
    assert no_hub == ["small"]


# --- one engine a process ---


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_is_loaded_once_by_however_many_threads() -> None:
    made: list[FakeEngine] = []
    together = threading.Barrier(4)

    def build() -> FakeEngine:
        made.append(FakeEngine())
        return made[-1]

    loader = Loader(build)

    def load() -> None:
        together.wait(timeout=5)
        loader.load()

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=5)
    assert len(made) == 1


def test_a_missing_model_is_looked_for_calmly() -> None:
    tries: list[float] = []
    clock = Clock()

    def build() -> FakeEngine:
        tries.append(clock.now)
        if clock.now < 10:
            return MissingEngine()
        return FakeEngine()

    loader = Loader(build, clock=clock)
    for clock.now in (0.0, 1.0, 4.9, 5.1, 6.0):
        with pytest.raises(ModelMissingError):
            loader.load()
    clock.now = 11.0
    loader.load()
    assert tries == [0.0, 5.1, 11.0]


def test_utterances_wait_for_a_model_and_are_transcribed_when_it_comes(
    room: Room, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.STT_ENGINE = "fake_engine.MissingEngine"
    monkeypatch.setattr(keeper, "_told", None)
    engines.loader.forget()
    room.hears(room.joins("Alice"), "hello")
    assert tasks.drain() == 0
    told = status.read()
    assert told.state == "missing"
    assert "does not exist" in told.message
    settings.STT_ENGINE = "fake_engine.FakeEngine"
    engines.loader.forget()
    assert tasks.pulse() == "ready"
    assert status.read().demo
    assert tasks.drain() == 1
    assert room.told("utterance")[0]["text"] == "hello"
    engines.loader.forget()
