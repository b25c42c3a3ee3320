"""Two hosts and one Redis: who hears which bell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django_q.brokers import Broker, get_broker
from django_q.conf import Conf
from django_q.signing import SignedPackage
from pytest_django.fixtures import Settings
from stack import redis_server

from sessions import hosts

TASK = "sessions.tasks.finish"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with redis_server() as address:
        yield address


@pytest.fixture
def at(
    address: str, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Broker]]:
    """Be at a host; the queue as its media workers hear it."""
    settings.REDIS_URL = address
    monkeypatch.setattr(Conf, "REDIS", address)
    monkeypatch.setattr(Conf, "ORM", None)
    monkeypatch.setattr(Conf, "BROKER_CLASS", "sessions.hosts.HostBroker")

    def go(host: str) -> Broker:
        settings.DATA_DIR = tmp_path / host
        hosts.here.cache_clear()
        return get_broker(hosts.MEDIA)

    hosts._broker.cache_clear()  # of another server
    go("nowhere").connection.flushall()
    yield go
    hosts._broker.cache_clear()
    hosts.here.cache_clear()


def heard(queue: Broker) -> list[int]:
    """The sessions of the tasks that a worker finds there."""
    found = []
    while waiting := queue.dequeue():
        task = SignedPackage.loads(waiting[0][1])
        assert task["func"] == TASK
        found.append(task["args"][0])
    return found


def test_a_host_has_one_name_whoever_asks(at: Callable[[str], Broker]) -> None:
    at("a")
    name = hosts.here()
    hosts.here.cache_clear()
    assert hosts.here() == name
    at("b")
    assert hosts.here() != name


def test_each_living_host_is_rung(at: Callable[[str], Broker]) -> None:
    a = at("a")
    hosts.beat()
    at("b")
    hosts.beat()
    assert hosts.ring(TASK, 7)
    assert heard(at("b")) == [7]
    at("a")
    assert heard(a) == [7]


def test_what_lies_here_is_asked_of_this_host_alone(
    at: Callable[[str], Broker],
) -> None:
    for host in "ab":
        at(host)
        hosts.beat()
    hosts.ring_here(TASK, 7)
    hosts.ring_others(TASK, 8)
    assert heard(at("a")) == [8]
    assert heard(at("b")) == [7]


def test_what_anybody_may_do_is_done_once(at: Callable[[str], Broker]) -> None:
    at("a")
    hosts.put(TASK, 7, queue=hosts.MEDIA)
    assert heard(at("b")) + heard(at("a")) == [7]


def test_neither_queue_starves_the_other(at: Callable[[str], Broker]) -> None:
    a = at("a")
    for one in range(3):
        hosts.ring_here(TASK, one)
        hosts.put(TASK, 10 + one, queue=hosts.MEDIA)
    order = heard(a)
    assert sorted(order) == [0, 1, 2, 10, 11, 12]
    assert {one < 10 for one in order[:2]} == {True, False}


def test_while_no_host_is_known_everybody_is_asked(at: Callable[[str], Broker]) -> None:
    assert hosts.ring(TASK, 7)
    assert heard(at("a")) == [7]


def test_who_has_not_heard_is_not_rung_again(at: Callable[[str], Broker]) -> None:
    for host in "ab":
        at(host)
        hosts.beat()
    assert hosts.ring_all(TASK, [7, 8])
    assert heard(at("a")) == [7, 8]
    assert hosts.ring_all(TASK, [7, 8])
    assert heard(at("b")) == [7, 8]
    assert heard(at("a")) == [7, 8]


def test_a_queue_that_nobody_hears_ends(at: Callable[[str], Broker]) -> None:
    redis = at("a").connection
    hosts.beat()
    hosts.ring(TASK, 7)
    key = f"django_q:{hosts.queue_of(hosts.here())}:q"
    assert 0 < redis.ttl(key) <= hosts.FORGOTTEN_S


def test_a_host_that_is_silent_is_asked_nothing(
    at: Callable[[str], Broker], monkeypatch: pytest.MonkeyPatch
) -> None:
    at("a")
    hosts.beat()
    monkeypatch.setattr(hosts.pulses, "SILENT_S", -2.0)
    assert hosts.living() == []


def test_without_redis_a_ring_is_lost_and_nothing_else(
    at: Callable[[str], Broker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Conf, "REDIS", "redis://127.0.0.1:9")
    hosts._broker.cache_clear()
    assert not hosts.ring(TASK, 7)
    assert not hosts.ring_all(TASK, [7])
    hosts.ring_here(TASK, 7)
    hosts.ring_others(TASK, 7)
    hosts.beat()
