"""python3-websockets as a client; commands and events are described in README.md."""

import asyncio
import sys

import websockets
from websockets.exceptions import ConnectionClosed, InvalidStatusCode

from commands import decode, encode, report, serve_commands

sockets = {}
tasks = set()


def keep(coroutine):
    task = asyncio.get_running_loop().create_task(coroutine)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def read(name, socket):
    try:
        while True:
            message = await socket.recv()
            is_binary = isinstance(message, bytes)
            data = message if is_binary else message.encode()
            report("message", name, data=encode(data), binary=is_binary)
    except ConnectionClosed:
        report("closed", name, code=socket.close_code, reason=socket.close_reason)


async def open_socket(command):
    name = command["name"]
    try:
        socket = await websockets.connect(
            command["url"],
            subprotocols=command["subprotocols"] or None,
            extra_headers=command["headers"],
            compression="deflate" if command["deflate"] else None,
            max_size=None,
            ping_interval=None,
        )
    except InvalidStatusCode as refusal:
        report("refused", name, status=refusal.status_code)
        return
    sockets[name] = socket
    extensions = socket.response_headers.get("Sec-WebSocket-Extensions", "")
    report("open", name, protocol=socket.subprotocol or "", extensions=extensions)
    keep(read(name, socket))


def fragments(data, is_binary, size):
    """Text is cut between characters: the library takes strings and encodes each."""
    message = data if is_binary else data.decode()
    step = size or max(len(message), 1)
    return [message[at : at + step] for at in range(0, max(len(message), 1), step)]


async def send(command):
    parts = fragments(decode(command), command["binary"], command.get("fragment"))
    socket = sockets[command["name"]]
    try:
        await socket.send(parts if command.get("fragment") else parts[0])
    except ConnectionClosed:
        pass  # told by read()


async def ping(command):
    data = decode(command)
    answered = await sockets[command["name"]].ping(data)

    async def wait():
        await answered
        report("pong", command["name"], data=encode(data))

    keep(wait())


async def run(command):
    operation = command["op"]
    if operation == "open":
        await open_socket(command)
    elif operation == "send":
        await send(command)
    elif operation == "ping":
        await ping(command)
    elif operation == "close":
        keep(sockets[command["name"]].close(command["code"], command["reason"]))
    else:
        sys.exit(f"unknown command {operation}")


asyncio.run(serve_commands(run))
