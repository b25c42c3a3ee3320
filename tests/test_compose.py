"""The containers' file: what it names is there, what it starts runs and is well."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from moto_server import moto_server
from postgres import postgres_server
from stack import MODEL, ROOT, free_port, redis_server, wait_for

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = {
    name: service
    for name, service in SERVICES.items()
    if service["image"].startswith("parley")
}
BOTS = {name: one for name, one in OURS.items() if one["command"][0] == "runbot"}
PHONES = {name: one for name, one in BOTS.items() if "phone" in one["command"]}
NOT_SETTINGS = {"Q_CLUSTER_NAME"}
"""django-q's own."""
RUNNING = ("web", "bot", "phone-a", "stt", "media")
DOMAINS = {"DOMAIN": "parley.example.org", "STORAGE_DOMAIN": "files.example.org"}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
CADDYFILE = (ROOT / "docs" / "deploy" / "Caddyfile").read_text()
UPSTREAM = re.compile(r"\b(?:dynamic a|reverse_proxy) ([a-z]+)[ :](\d+)")
DIALPLAN = (ROOT / "docs" / "asterisk" / "extensions.conf").read_text()


def settings_known(helper: str) -> set[str]:
    """Those that a helper of that name, or whose name begins so, reads."""
    source = (ROOT / "voiceproject" / "settings.py").read_text()
    return set(re.findall(rf'\b{helper}\w*\(\s*"([A-Z0-9_]+)"', source))


def substituted(value: str) -> str:
    """As compose reads `${NAME}`, `${NAME:-otherwise}` and `${NAME:?why}`."""

    def found(match: re.Match[str]) -> str:
        name, _, otherwise = match[1].partition(":-")
        return DOMAINS.get(name.partition(":?")[0], otherwise)

    return re.sub(r"\$\{([^}]+)\}", found, value)


def seconds(duration: str) -> int:
    """Of compose's `31m` or `10s`."""
    return int(duration[:-1]) * {"s": 1, "m": 60}[duration[-1]]


def published(service: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Address and port of the machine, and the port inside, of each."""
    ports = [substituted(port).split(":") for port in service.get("ports", [])]
    return [(address, port, inside) for address, port, inside in ports]


def copied_from_here() -> list[str]:
    """What the image is given of this folder."""
    lines = [line for line in DOCKERFILE.splitlines() if line.startswith("COPY")]
    copied = [shlex.split(line)[1:] for line in lines]
    return [path for words in copied if "--from" not in words[0] for path in words[:-1]]


def test_every_variable_is_a_setting() -> None:
    known = settings_known("env") | NOT_SETTINGS
    known |= {f"{secret}_FILE" for secret in settings_known("envsecret")}
    for name, service in OURS.items():
        assert service["environment"].keys() <= known, name


def test_every_service_of_ours_is_started_here_or_is_the_same_as_one_that_is() -> None:
    same = {"phone-b": "phone-a", "stt-gpu": "stt"}
    assert OURS.keys() - {"prepare"} == {*RUNNING, *same}
    for name, other in same.items():
        assert OURS[name]["command"] == OURS[other]["command"], name


def test_no_secret_stands_in_the_file_and_logs_are_json() -> None:
    secrets = settings_known("envsecret")
    for name, service in OURS.items():
        assert secrets & service["environment"].keys() <= {"REDIS_URL"}, name
        assert "@" not in service["environment"]["REDIS_URL"], name
        assert service["environment"]["LOG_JSON"] == "True", name


def test_every_secret_is_a_file_that_is_made(tmp_path: Path) -> None:
    script = ROOT / "docs" / "deploy" / "secrets.sh"
    for _ in range(2):  # once more changes nothing
        subprocess.run(["bash", script, tmp_path / "secrets"], check=True, timeout=60)
        made = {
            path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()
        }
    assert made.keys() == COMPOSE["secrets"].keys()
    for name, secret in COMPOSE["secrets"].items():
        assert secret["file"] == f"./secrets/{name}"
    assert made["postgres_password"] in made["database_url"]
    assert made["s3_secret_access_key"] in made["s3_users"]
    empty = {name for name, content in made.items() if not content}
    assert empty == {"discord_token"}
    used = {
        Path(str(value)).name
        for service in OURS.values()
        for variable, value in service["environment"].items()
        if variable.endswith("_FILE")
    }
    assert used <= COMPOSE["secrets"].keys()


def test_what_a_service_reads_is_given_to_it() -> None:
    for name, service in OURS.items():
        for variable, value in service["environment"].items():
            if variable.endswith("_FILE"):
                assert Path(value).name in service["secrets"], f"{name}: {variable}"


def test_every_service_is_bounded_and_looked_after() -> None:
    for name, service in SERVICES.items():
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
        if name == "prepare":  # it ends by itself
            continue
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"][0] == "CMD", name
        if name not in OURS:
            assert re.search(r":\d+\.\d+", service["image"]), f"{name} is not pinned"
    volumes = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith("./")
    }
    assert volumes == COMPOSE["volumes"].keys()


def test_the_proxy_leads_to_where_somebody_listens_who_knows_of_it() -> None:
    ports = dict(UPSTREAM.findall(CADDYFILE))
    assert ports.keys() == {"web", "storage"}
    assert ports["web"] == OURS["web"]["environment"]["WEB_PORT"]
    assert f"-s3.port={ports['storage']}" in SERVICES["storage"]["command"]
    named = set(re.findall(r"\{\$(\w+)\}", CADDYFILE))
    assert named == SERVICES["proxy"]["environment"].keys()
    for name, service in OURS.items():
        proxies = service["environment"].get("TRUSTED_PROXIES")
        assert proxies == ("1" if name in ports else None), name


def test_the_proxy_waits_for_no_slow_request_and_writes_down_no_address() -> None:
    words = re.sub("#.*", "", CADDYFILE).split()
    begun = words.index("timeouts")
    assert words[begun + 2 : begun + 6 : 2] == ["read_header", "read_body"]
    assert words[begun + 6] == "}"  # answers may last: no `write`, no `idle`
    fields = words[words.index("fields") : words.index("{$DOMAIN}")]
    for field in ("request>uri", "request>headers"):
        assert fields[fields.index(field) + 1] == "delete"


def test_a_published_port_is_listened_at_and_this_machines_alone() -> None:
    taken, offered = [], []
    for name, service in OURS.items():
        env = service["environment"]
        for address, port, inside in published(service):
            (what,) = [v for v in env if v.endswith("_PORT") and env[v] == inside]
            assert env[what.replace("_PORT", "_HOST")] == "0.0.0.0", name
            assert address == "127.0.0.1", name
            taken.append(port)
            offered.append((name, what))
    assert len(set(taken)) == len(taken)
    how_it_is = {(name, "BOT_HEALTH_PORT") for name in BOTS}
    assert set(offered) == how_it_is | {(name, "AUDIOSOCKET_PORT") for name in PHONES}


def test_asterisk_dials_one_telephone_while_the_other_is_updated() -> None:
    dialled = re.findall(r"^PARLEY_\d=127\.0\.0\.1:(\d+)$", DIALPLAN, re.MULTILINE)
    ports = [
        port
        for service in PHONES.values()
        for _, port, inside in published(service)
        if inside == service["environment"]["AUDIOSOCKET_PORT"]
    ]
    assert len(ports) == 2
    assert ports == dialled
    one, other = PHONES.values()
    assert one | {"ports": other["ports"]} == other


def test_pages_are_served_while_one_web_process_is_away() -> None:
    assert OURS["web"]["deploy"]["replicas"] >= 2


def test_calls_are_given_time_to_end() -> None:
    for name, service in BOTS.items():
        drains_s = float(service["environment"]["DRAIN_S"])
        assert drains_s > 0, name
        assert seconds(service["stop_grace_period"]) > drains_s, name


def test_who_is_not_on_discord_cannot_read_its_token() -> None:
    holders = {n for n, one in OURS.items() if "discord_token" in one["secrets"]}
    assert holders == {"bot"}


def test_only_the_model_on_a_card_is_given_a_card() -> None:
    def devices(service: dict[str, Any]) -> list[dict[str, Any]]:
        found = service["deploy"]["resources"].get("reservations", {})
        return list(found.get("devices", []))

    assert [name for name, one in SERVICES.items() if devices(one)] == ["stt-gpu"]
    service = OURS["stt-gpu"]
    (device,) = devices(service)
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert service["profiles"] == ["gpu"]
    assert service["environment"]["STT_DEVICE"] == "cuda"


def test_the_image_has_what_it_copies_and_runs_as_nobody_special() -> None:
    here = copied_from_here()
    assert here
    for path in here:
        assert (ROOT / path).exists(), path
    taken = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{path}" for path in here} <= set(taken)
    stages = {
        stage.split()[2]: stage
        for stage in re.split("^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    }
    made = {service["build"]["target"] for service in OURS.values()}
    assert made < stages.keys()  # what only builds is not in it
    for target in made:
        users = re.findall(r"^USER (\S+)$", stages[target], re.MULTILINE)
        assert users[-1] == "parley", target
    bases = [stage.split()[0] for stage in stages.values()]
    outside = [base for base in bases if base not in stages]
    assert all(re.search(r":\d+\.\d+\.\d+-", base) for base in outside)


def test_the_image_is_made_of_what_is_named_by_its_hash() -> None:
    files = {Path(path).name: ROOT / path for path in copied_from_here()}
    installs = re.findall(r"\bpip .*", DOCKERFILE.replace("\\\n", ""))
    assert len(installs) == 2
    for words in map(shlex.split, installs):
        assert {"--require-hashes", "--no-deps", "--only-binary"} < set(words)
        assert words[-2] == "-r"
        for entry in re.split(r"\n(?=\w)", files[words[-1]].read_text())[1:]:
            assert re.match(r"\S+==\S+", entry), entry
            assert "--hash=sha256:" in entry, entry


def test_backups_are_made_by_the_release_of_the_server() -> None:
    (major,) = re.findall(r"\bpostgresql-client-(\d+)\b", DOCKERFILE)
    assert SERVICES["postgres"]["image"].startswith(f"postgres:{major}.")


class Machine:
    """The services, started by hand where there are no containers: the same commands
    and variables, but for where things lie on this machine."""

    def __init__(self, folder: Path, here: dict[str, str]) -> None:
        self.folder = folder
        self._here = here
        ports = ("WEB_PORT", "AUDIOSOCKET_PORT", "BOT_HEALTH_PORT")
        self._ports = {
            name: {variable: str(free_port()) for variable in ports} for name in OURS
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def environment(self, name: str) -> dict[str, str]:
        theirs = {
            variable: substituted(str(value))
            for variable, value in OURS[name]["environment"].items()
        }
        moved = {
            variable: value
            for variable, value in (self._here | self._ports[name]).items()
            if theirs.get(variable, "0") != "0"
        }
        plain = {n: os.environ[n] for n in ("PATH", "HOME", "LANG") if n in os.environ}
        return (
            plain
            | theirs
            | moved
            | {
                "DATA_DIR": str(self.folder / "data"),
                "SUPERVISOR_PID": str(os.getpid()),
                "STT_MODEL": str(MODEL),
                "AWS_EC2_METADATA_DISABLED": "true",
            }
        )

    def run(self, name: str, words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environment(name),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "manage.py", *OURS[name]["command"]],
                cwd=ROOT,
                env=self.environment(name),
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def is_well(self, name: str) -> bool:
        words = OURS[name]["healthcheck"]["test"]
        assert words[:3] == ["CMD", "python", "manage.py"]
        return self.run(name, words[3:]).returncode == 0

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def stop(self, name: str) -> int:
        process = self._running.pop(name)
        process.terminate()
        return process.wait(30)

    def kill_rest(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait(10)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with ExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory()))
        secrets = folder / "secrets"
        script = ROOT / "docs" / "deploy" / "secrets.sh"
        subprocess.run(["bash", script, secrets], check=True, timeout=60)
        database = parts.enter_context(postgres_server())
        (secrets / "database_url").write_text(database)
        here = {
            "REDIS_URL": parts.enter_context(redis_server()),
            "S3_ENDPOINT_URL": parts.enter_context(moto_server()),
        }
        files = {
            variable
            for service in OURS.values()
            for variable in service["environment"]
            if variable.endswith("_FILE")
        }
        for variable in files:
            here[variable] = str(secrets / variable.removesuffix("_FILE").lower())
        made = Machine(folder, here)
        parts.callback(made.kill_rest)
        yield made


def test_django_misses_nothing_in_what_the_web_is_given(machine: Machine) -> None:
    checked = machine.run("web", ["check", "--deploy", "--fail-level", "WARNING"])
    assert checked.returncode == 0, checked.stderr


def test_what_it_starts_runs_and_says_that_it_is_well(machine: Machine) -> None:
    first = machine.run("prepare", OURS["prepare"]["command"])
    assert first.returncode == 0, first.stderr
    assert "The bucket was made." in first.stdout
    again = machine.run("prepare", OURS["prepare"]["command"])
    assert "The bucket is there." in again.stdout
    for name in ("web", "stt"):
        assert not machine.is_well(name), f"{name} is well before it runs"
    for name in RUNNING:
        machine.start(name)
    for name in RUNNING:
        wait_for(
            f"{name}: {machine.log(name)[-2000:]}",
            partial(machine.is_well, name),
            within_s=90,
        )
    for name in RUNNING:
        assert machine.stop(name) == 0, machine.log(name)[-2000:]
