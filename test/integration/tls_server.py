"""Certificates made on the spot with the openssl program, and an echo server that shows one."""

import asyncio
import os
import ssl
import subprocess
import threading
from collections import namedtuple

import websockets

Certificate = namedtuple("Certificate", "certificate key")


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


def new_key(directory, name):
    path = os.path.join(directory, f"{name}.key")
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
    return path


def make_authority(directory):
    key = new_key(directory, "authority")
    path = os.path.join(directory, "authority.pem")
    openssl("req", "-x509", "-new", "-key", key, "-out", path, "-days", "30", "-subj", "/CN=wspool test authority")
    return Certificate(path, key)


def make_certificate(directory, name, authority, names="DNS:localhost,IP:127.0.0.1", ends=None, signs_itself=False):
    """`ends`: from now, negative for the past; else in thirty days."""
    key = new_key(directory, name)
    path = os.path.join(directory, f"{name}.pem")
    extensions = os.path.join(directory, f"{name}.ext")
    with open(extensions, "w", encoding="ascii") as file:
        file.write(f"subjectAltName={names}\n")
    if signs_itself:
        openssl("req", "-x509", "-new", "-key", key, "-out", path, "-days", "30", "-subj", f"/CN={name}",
                "-addext", f"subjectAltName={names}")
        return Certificate(path, key)
    request = os.path.join(directory, f"{name}.csr")
    openssl("req", "-new", "-key", key, "-out", request, "-subj", f"/CN={name}")
    # A negative number of days is how openssl lets a certificate be made that is over.
    days = str(ends.days) if ends else "30"
    openssl("x509", "-req", "-in", request, "-CA", authority.certificate, "-CAkey", authority.key, "-CAcreateserial",
            "-out", path, "-days", days, "-extfile", extensions)
    return Certificate(path, key)


class TlsServer:
    """python3-websockets as an echo server, over TLS, on a thread."""

    def __init__(self, shown):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(shown.certificate, shown.key)
        self._loop = asyncio.new_event_loop()
        self._has_started = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), daemon=True)
        self._thread.start()
        if not self._has_started.wait(30):
            raise AssertionError("the TLS server did not start")

    async def _run(self):
        self._is_over = asyncio.Event()

        async def echo(connection):
            async for message in connection:
                await connection.send(message)

        async with websockets.serve(echo, "127.0.0.1", 0, ssl=self._context) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._has_started.set()
            await self._is_over.wait()

    def stop(self):
        self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join(20)
