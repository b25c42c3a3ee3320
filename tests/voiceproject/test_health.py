"""/health says which part is not well, and answers whatever is broken."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django_q.conf import Conf
from pytest_django.fixtures import Settings
from stack import free_port, redis_server

from sessions import hosts, pulses
from sessions.livecache import live
from sessions.storage import UnreachableError
from transcripts import status, utterances, vad
from transcripts.status import SpeechStatus
from transcripts.vad import EnergyVad, VadChoice
from voiceproject import readiness

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
    for process in ("bot", "phone", "media"):
        pulses.beat(process)
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    monkeypatch.setattr(readiness, "_storage", readiness.Kept(readiness._ask_storage))
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
    assert (speech["ok"], speech["reason"]) == (False, "No such folder.")


def test_it_names_a_detector_that_is_not_the_good_one(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = VadChoice(EnergyVad(), degraded=True, message="By loudness only.")
    monkeypatch.setattr(vad, "state", lambda: chosen)
    assert parts(client)["voice_detection"] == {
        "ok": False,
        "reason": "By loudness only.",
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


def test_whoever_lives_says_so_without_a_database(
    client: Client, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        answer = client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_process_that_is_silent_is_named(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulses, "age_s", lambda name: 31.0 if name == "media" else 1.0)
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    said = {name for name, part in answer.json()["parts"].items() if not part["ok"]}
    assert said == {"media"}
    assert "nothing is stored" in parts(client)["media"]["reason"]


def test_a_dead_discord_bot_is_named_beside_a_living_phone(
    client: Client, settings: Settings
) -> None:
    assert "discord" not in parts(client)
    settings.DISCORD_TOKEN = "a-token"
    assert parts(client)["discord"] == {
        "ok": False,
        "reason": "No discord process is running: nobody is heard on Discord.",
    }
    assert parts(client)["phone"]["ok"]
    pulses.beat("discord")
    assert parts(client)["discord"]["ok"]


def test_a_phone_is_missed_only_where_there_is_to_be_one(
    client: Client, settings: Settings
) -> None:
    live().delete("pulse:phone")
    assert "no call is answered" in parts(client)["phone"]["reason"]
    settings.AUDIOSOCKET_PORT = 0
    assert "phone" not in parts(client)
    pulses.beat("phone", wall=lambda: time.time() - 60)
    assert not parts(client)["phone"]["ok"]  # it was there a minute ago


def test_a_media_worker_elsewhere_is_none_for_this_disk(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with redis_server() as settings.REDIS_URL:
        monkeypatch.setattr(Conf, "REDIS", settings.REDIS_URL)
        monkeypatch.setattr(Conf, "ORM", None)
        monkeypatch.setattr(Conf, "BROKER_CLASS", "sessions.hosts.HostBroker")
        settings.DATA_DIR = tmp_path / "elsewhere"
        hosts.here.cache_clear()
        hosts._broker.cache_clear()
        hosts.beat()
        settings.DATA_DIR = tmp_path
        hosts.here.cache_clear()
        pulses.beat("media")
        assert "beside DATA_DIR here" in parts(client)["media"]["reason"]
        hosts.beat()
        assert parts(client)["media"]["ok"]
    hosts.here.cache_clear()
    hosts._broker.cache_clear()


def test_a_storage_that_is_away_turns_nobody_away(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away:
        def stat(self, key: str) -> None:
            raise UnreachableError("connection to 10.0.0.5 refused")

    monkeypatch.setattr(readiness, "storage", Away)
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert "storage_unreachable" in parts(client)["storage"]["reason"]
    assert "10.0.0.5" not in answer.content.decode()


def test_a_storage_is_asked_once_in_ten_seconds() -> None:
    now, asked = [100.0], []

    def ask() -> dict[str, Any]:
        asked.append(now[0])
        return {"ok": True, "reason": ""}

    kept = readiness.Kept(ask, clock=lambda: now[0])
    for moment in (100.0, 105.0, 110.0, 110.1, 120.0):
        now[0] = moment
        kept.read()
    assert asked == [100.0, 110.1]


def test_a_full_disk_turns_speakers_away(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil._ntuple_diskusage(10**12, 10**12 - 10**8, 10**8)
    monkeypatch.setattr(readiness.shutil, "disk_usage", lambda path: full)
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "down")
    assert "all but full" in parts(client)["spool"]["reason"]


def test_a_folder_that_cannot_be_written_does_too(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path / "gone"
    assert client.get("/health/ready").status_code == 503


def test_redis_is_asked_where_there_is_one(client: Client, settings: Settings) -> None:
    assert "redis" not in parts(client)
    settings.REDIS_URL = f"redis://:a-password@127.0.0.1:{free_port()}/0"
    redis = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES = settings.CACHES | {
        "live": {"BACKEND": redis, "LOCATION": settings.REDIS_URL}
    }
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "down")
    assert "Redis does not answer" in parts(client)["redis"]["reason"]
    assert "a-password" not in answer.content.decode()
