from __future__ import annotations

from django.core.checks import run_checks
from pytest_django.fixtures import Settings


def found() -> set[str | None]:
    return {message.id for message in run_checks()}


def test_the_settings_as_they_come_are_well() -> None:
    assert not {id_ for id_ in found() if id_ and id_.startswith("transcripts.")}


def test_an_engine_that_is_not_there_is_said(settings: Settings) -> None:
    settings.STT_ENGINE = "transcripts.stt.NoEngine"
    assert "transcripts.E001" in found()


def test_made_up_tones_beside_a_sidecar_are_said(settings: Settings) -> None:
    settings.TONE_CLASSIFIER = "mock"
    settings.TONE_CLASSIFIER_URL = "http://127.0.0.1:9"
    assert "transcripts.W001" in found()
