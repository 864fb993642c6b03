"""A WebSocket client on a bare socket that can write anything, and reads strictly: whatever the gateway
sends that RFC 6455 does not allow fails the test."""

import base64
import hashlib
import os
import socket
import struct
import zlib

from gateway import connect
from waiting import PATIENCE, hung_up

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(opcode, payload=b"", *, fin=True, rsv=0, mask=b"\x11\x22\x33\x44", length=None, form=None):
    """One frame. `rsv` holds the three bits as 0bxyz (RSV1 is 4); `mask` None: unmasked; `length` is
    declared instead of the true one; `form` 7, 16 or 64 forces that many bits for it."""
    payload = payload.encode() if isinstance(payload, str) else bytes(payload)
    declared = len(payload) if length is None else length
    if form is None:
        form = 7 if declared < 126 else 16 if declared < 1 << 16 else 64
    head = bytes([fin << 7 | rsv << 4 | opcode])
    flag = 0 if mask is None else 0x80
    if form == 7:
        head += bytes([flag | declared])
    elif form == 16:
        head += bytes([flag | 126]) + struct.pack(">H", declared)
    else:
        head += bytes([flag | 127]) + struct.pack(">Q", declared)
    if mask is None:
        return head + payload
    return head + mask + masked(payload, mask)


def masked(payload, mask):
    if not payload:
        return b""
    pad = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(payload), "big")


def close_payload(code, reason=b""):
    return struct.pack(">H", code) + (reason.encode() if isinstance(reason, str) else reason)


def accept_key(key):
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


def deflated(payload):
    """A message as permessage-deflate sends it, for a frame with RSV1."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


def upgrade_request(target="/", headers=(), *, host="gateway.test", key=None):
    key = key or base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
             f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Response:
    def __init__(self, head, body=b""):
        lines = head.decode("latin-1").split("\r\n")
        version, status, _ = (lines[0] + " ").split(" ", 2)
        assert version == "HTTP/1.1", lines[0]
        self.status = int(status)
        self.headers = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            assert name.lower() not in self.headers, f"{name} twice: {lines}"
            self.headers[name.lower()] = value.strip()
        self.body = body


class RawClient:
    def __init__(self, gateway, **options):
        """`gateway` is one, or an address; then whoever calls closes the socket."""
        self.sock = connect(getattr(gateway, "address", gateway), **options)
        if hasattr(gateway, "clients"):
            gateway.clients.append(self)
        self._bytes = b""
        self.has_deflate = False
        self.pings = 0

    @classmethod
    def open(cls, gateway, target="/", headers=(), *, deflate=False, **options):
        """Connects and upgrades."""
        client = cls(gateway, **options)
        client.upgrade(target, headers, deflate=deflate)
        return client

    def upgrade(self, target="/", headers=(), *, deflate=False):
        key = base64.b64encode(os.urandom(16)).decode()
        if deflate:
            headers = [*headers, "Sec-WebSocket-Extensions: permessage-deflate"]
        self.send(upgrade_request(target, headers, key=key))
        response = self.read_response()
        assert response.status == 101, (response.status, response.body)
        assert response.headers["sec-websocket-accept"] == accept_key(key)
        assert response.headers["upgrade"].lower() == "websocket", response.headers
        extensions = response.headers.get("sec-websocket-extensions", "")
        self.has_deflate = extensions.startswith("permessage-deflate")
        assert deflate or not extensions, extensions
        return response

    # ---- writing

    def send(self, data):
        self.sock.sendall(data)

    def send_frame(self, opcode, payload=b"", **shape):
        self.send(frame(opcode, payload, **shape))

    def text(self, payload):
        self.send_frame(TEXT, payload)

    def finish(self, code=1000):
        """Closes properly and expects the gateway to do its part."""
        self.send_frame(CLOSE, close_payload(code))
        assert self.read_close()[0] == code
        self.expect_end()
        self.sock.close()

    def reset(self):
        """Ends the connection with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # ---- reading

    def _more(self):
        data = self.sock.recv(262144)
        if not data:
            raise EOFError("the gateway ended the stream")
        self._bytes += data

    def _take(self, size):
        while len(self._bytes) < size:
            self._more()
        data, self._bytes = self._bytes[:size], self._bytes[size:]
        return data

    def read_response(self, has_body=True):
        while b"\r\n\r\n" not in self._bytes:
            self._more()
        head, self._bytes = self._bytes.split(b"\r\n\r\n", 1)
        response = Response(head)
        if response.status != 101 and has_body:
            response.body = self._take(int(response.headers["content-length"]))
        return response

    def expect_refusal(self, *status, has_body=True):
        """The answer to a request that is no upgrade we grant: it says its status and closes."""
        response = self.read_response(has_body)
        assert response.status in status, (response.status, response.body)
        assert response.headers.get("connection", "").lower() == "close", response.headers
        self.expect_end()
        self.sock.close()
        return response

    def read_frame(self):
        """(opcode, payload, fin, rsv1) of the next frame, checked as a client must check it."""
        first, second = self._take(2)
        assert second < 0x80, "the gateway masked a frame"
        assert first & 0x30 == 0, "RSV2 or RSV3"
        size = second
        if second == 126:
            size = struct.unpack(">H", self._take(2))[0]
            assert size > 125, "not the shortest length"
        elif second == 127:
            size = struct.unpack(">Q", self._take(8))[0]
            assert size > 65535, "not the shortest length"
        opcode = first & 15
        if opcode >= 8:
            assert size <= 125 and first & 0x80, "a long or fragmented control frame"
        return opcode, self._take(size), bool(first & 0x80), bool(first & 0x40)

    def read_message(self, *, pongs=True):
        """(opcode, payload) of the next text or binary message; answers pings meanwhile."""
        opcode = payload = None
        while True:
            kind, data, fin, rsv1 = self.read_frame()
            if kind == PING:
                self.pings += 1
                if pongs:
                    self.send_frame(PONG, data)
                continue
            assert kind in (CONTINUATION, TEXT, BINARY), f"opcode {kind} with {data!r}"
            assert (kind == CONTINUATION) == (opcode is not None)
            if kind != CONTINUATION:
                opcode, payload, is_deflated = kind, b"", rsv1
                assert not rsv1 or self.has_deflate, "compressed without leave"
            payload += data
            if fin:
                if is_deflated:
                    inflater = zlib.decompressobj(-15)
                    payload = inflater.decompress(payload + b"\x00\x00\xff\xff")
                if opcode == TEXT:
                    payload.decode()
                return opcode, payload

    def count_pings(self, number):
        """Answers pings until so many have come; for tests that need to know that time has passed."""
        for _ in range(number):
            kind, data, _, _ = self.read_frame()
            assert kind == PING, f"opcode {kind}"
            self.send_frame(PONG, data)

    def read_text(self):
        opcode, payload = self.read_message()
        assert opcode == TEXT, "a binary answer"
        return payload.decode()

    def read_close(self):
        """(code, reason) of the close frame; what came before it is dropped."""
        while True:
            kind, data, _, _ = self.read_frame()
            if kind == CLOSE:
                if not data:
                    return 1005, ""
                assert len(data) >= 2
                return struct.unpack(">H", data[:2])[0], data[2:].decode()

    def expect_close(self, code, *, answer=True):
        """The gateway closes with `code`; answered as a good client does, the stream then ends."""
        got, reason = self.read_close()
        assert got == code, (got, reason)
        if answer:
            try:
                self.send_frame(CLOSE, close_payload(code))
            except OSError:
                pass  # it may not wait for us
            self.expect_end()
            self.sock.close()
        return reason

    def expect_end(self):
        """Nothing more comes but the end of the stream, in whichever way."""
        try:
            while True:
                data = self._bytes or self.sock.recv(65536)
                self._bytes = b""
                if not data:
                    return
                raise AssertionError(f"more came before the end: {data[:200]!r}")
        except ConnectionResetError:
            return

    def expect_gone(self, seconds=PATIENCE):
        """The gateway has closed its socket, even though we have not closed ours."""
        assert hung_up(self.sock, seconds), "the gateway still holds the connection"
        self.sock.close()

    def request(self, text):
        """Sends a message and returns the next one."""
        self.text(text)
        return self.read_text()

    def check_echo(self):
        """That the gateway serves this client as ever."""
        answer = self.request('{"type":"still there?"}')
        assert answer == '{"type":"echo","payload":{"type":"still there?"}}', answer
