"""Commands and events of the Python peers, as README.md describes them."""

import asyncio
import base64
import json
import sys


def report(event, name=None, **fields):
    sys.stdout.write(json.dumps({"event": event, "name": name, **fields}) + "\n")
    sys.stdout.flush()


def encode(data):
    return base64.b64encode(data).decode()


def decode(command):
    return base64.b64decode(command["data"])


async def standard_input():
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def serve_commands(run):
    """Hands each command to the coroutine `run`, in order, until standard input ends."""
    reader = await standard_input()
    report("ready")
    while line := await reader.readline():
        await run(json.loads(line))
