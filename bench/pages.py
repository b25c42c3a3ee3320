"""Pages and search over very many lines: how long the server takes for each.

A database of its own is filled with 20,000 sessions and 1,000,000 lines (a vocabulary
of 20,000 words, as frequent as in a language), and a session of ten hours and 12,000
lines. Then a moderator, who may see all, and an owner of a fiftieth ask for pages, in
one process and without a network: one word, of all frequencies; two words; words in a
row; the list of sessions at its first page and deep in it; the page of a session.

Target: p95 of each under 200 ms, on SQLite and on PostgreSQL; and no more questions to
the database for a full page than for an empty one (tests hold that).

On a rented machine the host takes cores away for seconds: of a hundred requests, asked
in batches of `AT_ONCE`, a batch during which it took more than a twentieth of them is
asked anew. Where that goes on, those count of which it took least, however long they
were; how much is printed.

`python bench/pages.py` takes ten minutes and, on a slow machine, forty; `sqlite` or
`postgresql` behind it measures that one alone, `--small` takes a hundredth of the rows.
`--measure` asks the database of the settings, which was filled so, once more.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bench._machine import stolen

SESSIONS, LINES, LONG = 20_000, 1_000_000, 12_000
EACH = 100
TARGET_MS = 200.0
AT_ONCE, TRIES = 20, 10
TAKEN_MAX = 0.05
"""By the host, of all cores, as Linux tells it."""
FREQUENT, RARE = 50, 15_000
"""Ranks of words in the vocabulary."""


@contextlib.contextmanager
def database(kind: str) -> Iterator[dict[str, str]]:
    """An empty one, as environment."""
    from postgres import postgres_server

    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        env = {"DATA_DIR": folder}
        if kind == "sqlite":
            yield env
            return
        with postgres_server() as address:
            yield env | {"DATABASE_URL": address}


def filled(env: dict[str, str], *, small: bool) -> float:
    """Fill it; how long that took."""
    share = 100 if small else 1
    numbers = {"sessions": SESSIONS, "utterances": LINES, "long": LONG}
    wanted = [f"--{name}={count // share}" for name, count in numbers.items()]
    began = time.monotonic()
    for command in (["migrate", "-v", "0"], ["seed", *wanted]):
        words = [sys.executable, "manage.py", *command]
        subprocess.run(words, cwd=ROOT, env=os.environ | env, check=True)
    return time.monotonic() - began


def measure() -> None:
    """In a process whose environment names the database."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")
    import django

    django.setup()
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.db import connection
    from django.test import Client

    from sessions.listing import _name
    from sessions.models import VoiceSession
    from transcripts.management.commands.seed import WORDS

    settings.ALLOWED_HOSTS = ["*"]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    chance = random.Random(5)
    users = get_user_model()
    found = users.objects.filter(username="moderator").first()
    moderator = found or users.objects.create_superuser("moderator")
    owner = users.objects.get(username="seed-0")
    rows = VoiceSession.objects.order_by("pk")
    known = list(rows.values_list("pk", "public_id", "owner_id"))
    begins = [_name(row) for row in rows.only("created_at")[:: len(known) // 100]]
    asks: dict[str, Callable[[], str]] = {
        "a frequent word": lambda: "/search?q=" + chance.choice(WORDS[:FREQUENT]),
        "any word": lambda: "/search?q=" + chance.choice(WORDS),
        "a rare word": lambda: "/search?q=" + chance.choice(WORDS[RARE:]),
        "two words": lambda: "/search?q=" + "+".join(chance.sample(WORDS[:500], 2)),
        "in a row": lambda: f'/search?q="{"+".join(chance.sample(WORDS[:50], 2))}"',
        "a beginning": lambda: "/search?q=" + chance.choice(WORDS)[:3],
        "the list": lambda: "/",
        "the list, deep": lambda: f"/?before={chance.choice(begins)}",
        "the list, narrowed": lambda: "/?state=ready&language=en&person=ann",
        "titles and words": lambda: "/?q=" + chance.choice(WORDS[:500]),
    }
    for who in (moderator, owner):
        client = Client()
        client.force_login(who)
        seen = [id_ for _, id_, by in known if who.is_superuser or by == who.pk]
        asks["a session"] = lambda seen=seen: f"/session/{chance.choice(seen)}"  # type: ignore[misc]
        asks["the long session"] = lambda: f"/session/{known[0][1]}"
        print(f"  {who.username}")
        for name, ask in asks.items():
            print(f"    {name:18} {asked(client, ask)}", flush=True)


def asked(client: object, ask: Callable[[], str]) -> str:
    """What a page took; of the batches asked those of which the host took least."""
    batches: list[tuple[float, list[float]]] = []
    wanted = EACH // AT_ONCE
    while len(batches) < wanted * TRIES:
        before = stolen()
        took = [timed(client, ask()) for _ in range(AT_ONCE)]
        taken, all_ = (now - then for now, then in zip(stolen(), before, strict=True))
        batches.append((taken / all_, took))
        if sum(share <= TAKEN_MAX for share, _ in batches) >= wanted:
            break
    counted = sorted(batches)[:wanted]
    took = sorted(one for _, times in counted for one in times)
    p50, p95 = took[EACH // 2], took[EACH * 95 // 100]
    late = "" if p95 < TARGET_MS else "  too long"
    return (
        f"p50 {p50:6.1f}, p95 {p95:6.1f}, worst {took[-1]:7.1f} ms "
        f"(batches {len(batches):2}, taken {counted[-1][0]:3.0%} at most){late}"
    )


def timed(client: object, address: str) -> float:
    began = time.perf_counter()
    response = client.get(address)  # type: ignore[attr-defined]
    took = time.perf_counter() - began
    assert response.status_code == 200, (address, response.status_code)
    return took * 1000


def main() -> None:
    if "--measure" in sys.argv:
        return measure()
    kinds = ("sqlite", "postgresql")
    for kind in [one for one in kinds if one in sys.argv] or kinds:
        with database(kind) as env:
            took_s = filled(env, small="--small" in sys.argv)
            print(f"{kind}: filled in {took_s:.0f} s", flush=True)
            again = [sys.executable, __file__, "--measure"]
            subprocess.run(again, env=os.environ | env, check=True)
    return None


if __name__ == "__main__":
    main()
