"""OpenStack Swift's S3 front as a real server for tests: it checks signatures.

Proxy, account, container and object server of Swift, as they come, in one process of
their own, on ports of their own, with ring files of their own; objects are kept in
memory. The file is both: what a test imports, and the program that it starts.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

ACCESS_KEY = "parley:bot"
SECRET_KEY = "a-secret-of-the-tests"
REGION = "us-east-1"
STORES = ("account", "container", "object")
SWIFT_CONF = """
[swift-hash]
swift_hash_path_suffix = tests
[storage-policy:0]
name = only
default = yes
"""
STORE_CONF = """
[DEFAULT]
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
log_level = ERROR
[pipeline:main]
pipeline = store
[app:store]
use = egg:swift#{kind}
fallocate_reserve = 0
"""
PROXY_CONF = f"""
[DEFAULT]
swift_dir = {{folder}}
log_level = ERROR
[pipeline:main]
pipeline = catch_errors gatekeeper memory s3api tempauth bulk slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:memory]
use = call:swift_server:memory_filter
[filter:s3api]
use = egg:swift#s3api
location = {REGION}
dns_compliant_bucket_names = true
max_bucket_listing = 5
min_segment_size = 1
[filter:tempauth]
use = egg:swift#tempauth
user_parley_bot = {SECRET_KEY} .admin
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
"""


@dataclass(frozen=True, slots=True)
class Swift:
    """A running server: where it is, and who may use it."""

    url: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    region: str = REGION


@contextlib.contextmanager
def swift_server() -> Iterator[Swift]:
    """Start Swift; yields its address. The first line it prints is its port."""
    folder = Path(tempfile.mkdtemp(prefix="parley-swift-"))
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", __file__, str(folder)],
        env={k: v for k, v in os.environ.items() if k != "PYTHONDEVMODE"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = process.stdout.readline().decode().strip()
        assert port.isdigit(), (folder / "log").read_text()
        yield Swift(url=f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(20)
        process.stdin.close()
        process.stdout.close()
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


# --- the program ------------------------------------------------------------------


class Memory(dict[str, Any]):
    """What Swift asks of memcached, as a dictionary: it is only here for its speed."""

    def set(self, key: str, value: Any, **_: Any) -> None:
        self[key] = value

    def incr(self, key: str, delta: int = 1, **_: Any) -> int:
        self[key] = int(self.get(key, 0)) + delta
        return int(self[key])

    def get(self, key: str, *_: Any, **__: Any) -> Any:
        return super().get(key)

    def delete(self, key: str, **_: Any) -> None:
        self.pop(key, None)


def memory_filter(_: Any, **__: Any) -> Any:
    """Put the memory where Swift's parts look for memcached."""
    memory = Memory()

    def wrap(app: Any) -> Any:
        def remembering(env: dict[str, Any], start_response: Any) -> Any:
            env["swift.cache"] = memory
            return app(env, start_response)

        return remembering

    return wrap


def listen() -> socket.socket:
    sock: socket.socket = import_module("eventlet").listen(("127.0.0.1", 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def write_ring(path: Path, port: int) -> None:
    """A ring of one device: both partitions, one copy."""
    device = {
        "id": 0,
        "device": "disk",
        "zone": 1,
        "region": 1,
        "weight": 1.0,
        "ip": "127.0.0.1",
        "port": port,
        "replication_ip": "127.0.0.1",
        "replication_port": port,
    }
    ring = import_module("swift.common.ring.ring")
    ring.RingData([[0, 0]], [device], 31).save(str(path))


def serve(sock: socket.socket, conf: Path) -> None:
    """One of the servers, as Swift runs it, but beside others in this process."""
    wsgi = import_module("swift.common.wsgi")
    import_module("eventlet.wsgi").server(
        sock,
        wsgi.loadapp(str(conf), global_conf={"log_name": conf.stem}),
        import_module("swift.common.utils").NullLogger(),
        protocol=wsgi.SwiftHttpProtocol,
        capitalize_response_headers=False,  # boto3 looks for "ETag"
    )


def main(folder: Path) -> None:
    eventlet = import_module("eventlet")
    utils = import_module("swift.common.utils")
    utils.monkey_patch()
    (folder / "devices" / "disk").mkdir(parents=True)
    (folder / "swift.conf").write_text(SWIFT_CONF)
    utils.set_swift_dir(str(folder))
    import_module("swift.common.storage_policy").reload_storage_policies()
    for kind in STORES:
        sock = listen()
        write_ring(folder / f"{kind}.ring.gz", sock.getsockname()[1])
        conf = folder / f"{kind}.conf"
        app = "mem_object" if kind == "object" else kind
        conf.write_text(STORE_CONF.format(folder=folder, kind=app))
        eventlet.spawn_n(serve, sock, conf)
    front = listen()
    conf = folder / "proxy.conf"
    conf.write_text(PROXY_CONF.format(folder=folder))
    sys.stdout.write(f"{front.getsockname()[1]}\n")
    sys.stdout.flush()
    serve(front, conf)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
