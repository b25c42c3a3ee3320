"""Cables between the parts of a run, in a process of their own.

    python -m chaos.cables db=5432 redis=6379

Prints a line of JSON, the port of each cable; then takes orders by its standard input,
`{"cable": mode}`, and answers each with a line when it is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

from cable import Cable


async def main(words: list[str]) -> None:
    cables = {name: Cable(int(to)) for name, _, to in (w.partition("=") for w in words)}
    for cable in cables.values():
        await cable.lay()
    ports = {name: cable.port for name, cable in cables.items()}
    print(json.dumps(ports), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        for name, mode in json.loads(line).items():
            cables[name].set(mode)
        print("done", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1:]))
