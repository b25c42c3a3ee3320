"""Speakers get other names, and two become one: shown so, and kept as they are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from scene import a_moderator, a_session, a_user

from sessions import access, events, participants, recordings, tracks
from sessions.errors import VoiceError
from sessions.models import (
    Naming,
    Participant,
    Recording,
    Source,
    State,
    Tier,
    VoiceSession,
)
from sessions.participants import UNKNOWN

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return a_user("ada")


@pytest.fixture
def talk(ada: User) -> VoiceSession:
    return a_session(State.READY, title="Monday", owner=ada)


def joined(talk: VoiceSession, name: str, *, key: str = "") -> Participant:
    return Participant.objects.create(session=talk, key=key or name, name=name)


def recorded(person: Participant) -> Recording:
    return Recording.objects.create(
        session=person.session,
        participant=person,
        tier=Tier.FRAGMENT,
        connection=f"{person.public_id}-1",
        key=f"{person.public_id}.mp3",
        duration=48_000,
        state=Recording.State.STORED,
    )


def address(person: Participant, more: str = "") -> str:
    talk = person.session.public_id
    return f"/api/sessions/{talk}/participants/{person.public_id}{more}"


def rename(client: Client, person: Participant, name: str) -> Any:
    body = json.dumps({"name": name})
    return client.patch(address(person), body, "application/json")


def merge(client: Client, person: Participant, into: Participant | str) -> Any:
    other = into if isinstance(into, str) else str(into.public_id)
    body = json.dumps({"into": other})
    return client.post(address(person, "/merge"), body, "application/json")


def shown(talk: VoiceSession) -> dict[str, tuple[str, str | None]]:
    return {
        person.key: (person.shown.name, str(person.shown.public_id))
        for person in talk.participants.select_related("merged_into")
    }


def types(talk: VoiceSession) -> list[str]:
    return [event.type for event in events.replay(talk.pk, after=0)]


def test_a_speaker_gets_another_name(
    client: Client, talk: VoiceSession, ada: User
) -> None:
    person = joined(talk, "Guest 1")
    client.force_login(ada)
    answer = rename(client, person, " Grace\nHopper ")
    assert answer.json() == {"id": str(person.public_id), "name": "Grace Hopper"}
    (told,) = events.replay(talk.pk, after=0)
    assert (told.type, told.data["name"]) == ("participant.renamed", "Grace Hopper")
    kept = Naming.objects.get()
    assert (kept.before, kept.after, kept.user) == ("Guest 1", "Grace Hopper", ada)


def test_the_name_they_have_is_no_change(talk: VoiceSession, ada: User) -> None:
    person = joined(talk, "Grace")
    participants.rename(talk, person.public_id, "Grace", by=ada)
    assert not Naming.objects.exists()
    assert types(talk) == []


@pytest.mark.parametrize("name", ["", "   ", "\u200b"])
def test_nobody_goes_without_a_name(
    client: Client, talk: VoiceSession, ada: User, name: str
) -> None:
    client.force_login(ada)
    answer = rename(client, joined(talk, "Grace"), name)
    assert (answer.status_code, answer.json()["code"]) == (422, "empty")


def test_two_are_shown_as_one_and_their_files_stay_their_own(
    client: Client, talk: VoiceSession, ada: User
) -> None:
    guest, grace = joined(talk, "Guest 1"), joined(talk, "Grace")
    rows = [recorded(guest), recorded(grace)]
    client.force_login(ada)
    answer = merge(client, guest, grace)
    assert answer.json() == {"id": str(grace.public_id), "name": "Grace"}
    listed = client.get(f"/api/sessions/{talk.public_id}/recordings").json()
    assert {(one["participant"], one["name"]) for one in listed} == {
        (str(grace.public_id), "Grace")
    }
    assert {one["track"] for one in listed} == {
        str(guest.public_id),
        str(grace.public_id),
    }
    people = client.get(f"/api/sessions/{talk.public_id}").json()["participants"]
    assert [(one["name"], one["merged_into"]) for one in people] == [
        ("Grace", str(grace.public_id)),
        ("Grace", None),
    ]
    owners = Recording.objects.order_by("pk").values_list("participant", flat=True)
    assert list(owners) == [row.participant_id for row in rows]
    assert [track.name for track in tracks.of_session(talk)] == ["Grace", "Grace"]


def test_it_is_kept_and_told_who_merged_whom(talk: VoiceSession, ada: User) -> None:
    guest, grace = joined(talk, "Guest 1"), joined(talk, "Grace")
    participants.merge(talk, guest.public_id, into=grace.public_id, by=ada)
    kept = Naming.objects.get()
    assert (kept.participant, kept.into, kept.user) == (guest, grace, ada)
    (told,) = events.replay(talk.pk, after=0)
    assert told.type == "participant.merged"
    assert (told.data["participant"], told.data["into"]) == (
        str(guest.public_id),
        str(grace.public_id),
    )


def test_a_third_follows_whom_they_were_merged_into(
    talk: VoiceSession, ada: User
) -> None:
    one, two, three = (joined(talk, name) for name in ("One", "Two", "Three"))
    participants.merge(talk, one.public_id, into=two.public_id, by=ada)
    participants.merge(talk, two.public_id, into=three.public_id, by=ada)
    assert {name for name, _ in shown(talk).values()} == {"Three"}
    # Whoever names one who was merged means the person they are.
    four = joined(talk, "Four")
    participants.merge(talk, four.public_id, into=one.public_id, by=ada)
    assert shown(talk)["Four"] == ("Three", str(three.public_id))
    participants.rename(talk, one.public_id, "Ada", by=ada)
    assert {name for name, _ in shown(talk).values()} == {"Ada"}


def test_one_person_cannot_become_themselves(
    client: Client, talk: VoiceSession, ada: User
) -> None:
    one, two = joined(talk, "One"), joined(talk, "Two")
    client.force_login(ada)
    assert merge(client, one, one).status_code == 409
    assert merge(client, one, two).status_code == 200
    assert merge(client, one, two).json()["code"] == "same"
    assert merge(client, two, one).json()["code"] == "same"


def test_who_speaks_right_now_is_not_merged(
    client: Client, talk: VoiceSession, ada: User
) -> None:
    one, two = joined(talk, "One"), joined(talk, "Two")
    Participant.objects.filter(pk=one.pk).update(held_by="a connection")
    client.force_login(ada)
    answer = merge(client, one, two)
    assert (answer.status_code, answer.json()["code"]) == (409, "present")
    assert not Naming.objects.exists()


def test_nobody_of_another_session_is_found(
    client: Client, talk: VoiceSession, ada: User
) -> None:
    one, other = joined(talk, "One"), joined(a_session(State.READY), "Other")
    client.force_login(ada)
    assert merge(client, one, other).status_code == 404
    assert merge(client, one, "nobody").status_code == 404
    other.session = talk
    assert rename(client, other, "Mine").status_code == 404


def test_only_who_manages_gives_names(client: Client, talk: VoiceSession) -> None:
    one, two = joined(talk, "One"), joined(talk, "Two")
    assert rename(client, one, "Mine").status_code == 401
    token = {"Authorization": f"Bearer {access.token_of(talk)}"}
    body = json.dumps({"name": "Mine", "into": str(two.public_id)})
    for method, where in (("PATCH", address(one)), ("POST", address(one, "/merge"))):
        answer = client.generic(method, where, body, "application/json", headers=token)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    client.force_login(a_moderator("mo"))
    assert rename(client, one, "Theirs").status_code == 200


def test_either_of_two_who_were_merged_is_found_to_be_erased(
    talk: VoiceSession, ada: User
) -> None:
    one = joined(talk, "One", key="discord:1")
    two = joined(talk, "Two", key="discord:2")
    participants.merge(talk, one.public_id, into=two.public_id, by=ada)
    for key, person in (("discord:1", one), ("discord:2", two)):
        before = person.joined_at
        found = participants.of_key(key, source=Source.BROWSER, before=before)
        assert found == [person]


def test_who_is_erased_takes_their_names_with_them(
    talk: VoiceSession, ada: User
) -> None:
    one = joined(talk, "One", key="discord:1")
    two = joined(talk, "Two", key="discord:2")
    participants.rename(talk, two.public_id, "Grace", by=ada)
    participants.merge(talk, one.public_id, into=two.public_id, by=ada)
    participants.erase(Participant.objects.get(pk=two.pk))
    events.forget(talk.pk, participant=two.public_id, utterances=())
    # The other is shown as themselves again.
    assert [name for name, _ in shown(talk).values()] == ["One", UNKNOWN]
    assert not Naming.objects.exists()
    assert "Grace" not in str([event.data for event in events.replay(talk.pk, after=0)])


def test_who_is_erased_is_given_no_name(talk: VoiceSession, ada: User) -> None:
    one, two = joined(talk, "One"), joined(talk, "Two")
    participants.erase(one)
    for act in (
        lambda: participants.rename(talk, one.public_id, "One", by=ada),
        lambda: participants.merge(talk, two.public_id, into=one.public_id, by=ada),
    ):
        with pytest.raises(VoiceError) as told:
            act()
        assert told.value.code == "erased"


def test_the_lists_cost_the_same_however_many_were_merged(
    client: Client, talk: VoiceSession, ada: User
) -> None:
    people = [joined(talk, f"P{n}") for n in range(6)]
    for person in people:
        recorded(person)
    client.force_login(ada)

    def queries(what: str) -> int:
        with CaptureQueriesContext(connection) as asked:
            client.get(f"/api/sessions/{talk.public_id}{what}")
        return len(asked)

    before = [queries(""), queries("/recordings")]
    for person in people[1:]:
        participants.merge(talk, person.public_id, into=people[0].public_id, by=ada)
    assert [queries(""), queries("/recordings")] == before
    assert len(recordings.of_session(talk.pk)) == 6
