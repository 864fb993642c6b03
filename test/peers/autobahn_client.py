"""python3-autobahn as a client; commands and events are described in README.md."""

import asyncio
import re
import sys

from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateResponse,
    PerMessageDeflateResponseAccept,
)
from autobahn.websocket.util import parse_url

from commands import decode, encode, report, serve_commands

sockets = {}


class Client(WebSocketClientProtocol):
    is_upgraded = False

    def onConnect(self, response):
        self.is_upgraded = True
        self.answer = response

    def onOpen(self):
        report(
            "open",
            self.factory.name,
            protocol=self.answer.protocol or "",
            extensions="permessage-deflate" if self.answer.extensions else "",
        )

    def onMessage(self, payload, isBinary):
        report("message", self.factory.name, data=encode(payload), binary=isBinary)

    def onPong(self, payload):
        report("pong", self.factory.name, data=encode(payload))

    def onClose(self, wasClean, code, reason):
        if self.is_upgraded:
            code = self.remoteCloseCode or 1006
            reason = self.remoteCloseReason or ""
            report("closed", self.factory.name, code=code, reason=reason)
        else:
            status = re.search(r"\[(\d{3})\]", reason or "")
            report("refused", self.factory.name, status=int(status.group(1)) if status else 0)


def accept(response):
    if isinstance(response, PerMessageDeflateResponse):
        return PerMessageDeflateResponseAccept(response)
    return None


async def open_socket(command):
    url = command["url"]
    factory = WebSocketClientFactory(
        url, headers=command["headers"], protocols=command["subprotocols"]
    )
    factory.protocol = Client
    factory.name = command["name"]
    if command["deflate"]:
        factory.setProtocolOptions(
            perMessageCompressionOffers=[PerMessageDeflateOffer()],
            perMessageCompressionAccept=accept,
        )
    _, host, port, *_ = parse_url(url)
    loop = asyncio.get_running_loop()
    _, sockets[command["name"]] = await loop.create_connection(factory, host, port)


async def run(command):
    operation = command["op"]
    if operation == "open":
        await open_socket(command)
        return
    socket = sockets[command["name"]]
    if operation == "send":
        socket.sendMessage(decode(command), command["binary"], command.get("fragment"))
    elif operation == "ping":
        socket.sendPing(decode(command))
    elif operation == "close":
        socket.sendClose(command["code"], command["reason"] or None)
    else:
        sys.exit(f"unknown command {operation}")


asyncio.run(serve_commands(run))
