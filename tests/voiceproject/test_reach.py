"""Where the web process is, for this machine and for people; waiting until it is up."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django.fixtures import Settings

from voiceproject import reach


class Installation:
    """Starts up part by part, one step with every question; time passes in between."""

    def __init__(self, *answers: dict[str, Any] | None) -> None:
        self._answers = list(answers)
        self.now = 0.0
        self.asked = ""

    def ask(self, url: str) -> dict[str, Any] | None:
        self.asked = url
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def wait(self) -> dict[str, Any] | None:
        return reach.wait_healthy(
            ask=self.ask, clock=lambda: self.now, sleep=self.sleep
        )


def answer(*, speech: str = "ready", bot: bool = True) -> dict[str, Any]:
    return {"parts": {"speech": {"state": speech}, "bot": {"ok": bot}}}


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("[::1]", "http://[::1]:8000"),
        ("10.0.0.5", "http://10.0.0.5:8000"),
    ],
)
def test_it_finds_the_web_process_where_it_listens(
    settings: Settings, host: str, url: str
) -> None:
    settings.WEB_HOST, settings.WEB_PORT = host, 8000
    assert reach.local_url() == url


@pytest.mark.parametrize(
    ("public", "host", "url"),
    [
        ("https://parley.example.org", "0.0.0.0", "https://parley.example.org"),
        ("", "127.0.0.1", "http://localhost:8000"),
        ("", "0.0.0.0", "http://localhost:8000"),
        ("", "10.0.0.5", "http://10.0.0.5:8000"),
    ],
)
def test_it_tells_people_an_address_that_works(
    settings: Settings, public: str, host: str, url: str
) -> None:
    settings.PUBLIC_URL, settings.WEB_HOST, settings.WEB_PORT = public, host, 8000
    assert reach.people_url() == url


def test_it_waits_for_all_parts() -> None:
    ready = answer()
    starting = [None, answer(speech="loading"), answer(bot=False), ready]
    installation = Installation(*starting)
    assert installation.wait() is ready
    assert installation.asked.endswith("/health")
    assert installation.now == pytest.approx(3 * reach.POLL_S)


def test_it_goes_on_without_a_speech_model() -> None:
    assert Installation(answer(speech="missing")).wait() is not None


def test_it_says_what_was_last_known_when_patience_ends() -> None:
    loading = answer(speech="loading")
    installation = Installation(loading)
    assert installation.wait() is loading
    assert installation.now >= reach.PATIENCE_S


def test_it_knows_nothing_of_a_web_process_that_never_answers() -> None:
    assert Installation(None).wait() is None


def test_nobody_answers_at_a_closed_port() -> None:
    assert reach.ask("http://127.0.0.1:1/health") is None
