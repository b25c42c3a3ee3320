"""/health says which part is not well, and answers whatever is broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from pytest_django.fixtures import Settings

from sessions import pulses
from transcripts import status, utterances, vad
from transcripts.status import SpeechStatus
from transcripts.vad import EnergyVad, VadChoice

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _well(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation in which everything runs."""
    locmem = "django.core.cache.backends.locmem.LocMemCache"
    settings.CACHES = {
        "default": {"BACKEND": locmem},
        "live": {"BACKEND": locmem, "LOCATION": str(tmp_path)},
    }
    status.report(SpeechStatus(state="ready", model="small", worker="w"))
    pulses.beat("bot")
    monkeypatch.setattr(vad, "state", lambda: VadChoice(EnergyVad()))


def parts(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/health").json()["parts"]
    return found


def test_all_is_well(client: Client) -> None:
    answer = client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert all(part["ok"] for part in parts(client).values())


def test_it_names_a_missing_model(client: Client) -> None:
    status.report(SpeechStatus(state="missing", message="No such folder.", worker="w"))
    answer = client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    speech = parts(client)["speech"]
    assert (speech["ok"], speech["message"]) == (False, "No such folder.")


def test_it_names_a_detector_that_is_not_the_good_one(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = VadChoice(EnergyVad(), degraded=True, message="By loudness only.")
    monkeypatch.setattr(vad, "state", lambda: chosen)
    assert parts(client)["voice_detection"] == {
        "ok": False,
        "message": "By loudness only.",
    }


def test_it_answers_503_without_its_database(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise OperationalError("secret details: could not connect to 10.0.0.5")

    monkeypatch.setattr(utterances, "backlog", away)
    answer = client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "down")
    assert "secret" not in answer.content.decode()


def test_it_needs_no_sign_in_and_takes_no_garbage(client: Client) -> None:
    assert client.get("/health?%ff=%00").status_code == 200
    assert client.head("/health").status_code == 200
