"""python3-websockets as an echo server, with compression; see README.md."""

import asyncio

import websockets

from commands import standard_input


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def main():
    async with websockets.serve(echo, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await (await standard_input()).read()


asyncio.run(main())
