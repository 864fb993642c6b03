"""One `wspool serve` under test: started on a port of its own, stopped as an operator would, and asked
at the end whether it has kept its books."""

import os
import re
import resource
import signal
import socket
import subprocess
import tempfile

from waiting import PATIENCE, Lines

BINARY = os.environ.get("WSPOOL_BINARY", "build/release/wspool")
IO = os.environ.get("WSPOOL_TEST_IO", "epoll")
WORKERS = int(os.environ.get("WSPOOL_TEST_WORKERS", "1"))

FIGURE = re.compile(r'(wspool_[a-z_]+(?:\{[^}]*\})?)"?[=:](\d+)')


def environment(extra=None):
    """The environment for a program under test: nothing of ours may configure it by accident."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WSPOOL_")}
    # A freed block that a sanitizer keeps back would look like memory that the program holds.
    kept.setdefault("ASAN_OPTIONS", "quarantine_size_mb=1:detect_leaks=1")
    kept.update(extra or {})
    return kept


class Toml:
    """A value that is written as it is: lists and tables."""

    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text


def write_config(directory, settings):
    """`settings` maps "section.key", or the "key" of a list of tables, to a value: a string, a dictionary of
    such, or what is written as it is."""
    def written(value):
        if isinstance(value, dict):
            return "{ " + ", ".join(f"{key} = {written(member)}" for key, member in value.items()) + " }"
        if isinstance(value, bool):
            return str(value).lower()
        return f'"{value}"' if isinstance(value, str) else str(value)

    sections = {}
    for name, value in settings.items():
        section, _, key = name.rpartition(".")
        text = written(value)
        sections.setdefault(section, []).append(f"{key} = {text}")
    path = os.path.join(directory, "wspool.toml")
    with open(path, "w", encoding="utf-8") as file:
        for section, lines in sorted(sections.items()):
            file.write((f"[{section}]\n" if section else "") + "\n".join(lines) + "\n\n")
    return path


def parse_figures(line):
    """The figures of a log line by name, or None when it is not a line of figures. Zeros are left out."""
    if not re.search(r'(: |"message":")(figures|stopped)\b', line):
        return None
    return {name: int(value) for name, value in FIGURE.findall(line.replace('\\"', '"'))}


class Gateway:
    """`config` as in write_config(); `options` go on the command line as they are. `workers` None: as many
    as the program takes by itself."""

    def __init__(self, *options, config=None, io=IO, listen="127.0.0.1:0", nofile=None, wrapper=(),
                 env=None, workers=1, control="off"):
        self._directory = tempfile.TemporaryDirectory(prefix="wspool-test-")
        settings = {"server.drain_time": "100ms", "health.interval": "50ms"}
        settings.update(config or {})
        self.config_path = write_config(self._directory.name, settings)
        command = [*wrapper, BINARY, "serve", "--config", self.config_path, "--control", control]
        for address in [listen] if isinstance(listen, str) else listen:
            command += ["--listen", address]
        if io:
            command += ["--io", io]
        if workers:
            command += ["--workers", str(workers)]
        self.process = subprocess.Popen(
            [*command, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment(env),
            preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile)))
            if nofile else None)
        self.output = Lines(self.process.stdout, "standard output")
        self.log = Lines(self.process.stderr, "the log")
        self._is_stopped = False
        self.clients = []  # of this process, to be closed before the gateway is stopped
        self.figures = {}
        try:
            line = self.output.wait(lambda line: line.startswith("wspool ready "))
        except AssertionError as silence:
            self.abandon()
            raise AssertionError(f"no ready line ({silence}); the log: {self.log.all()}") from None
        self.ready = dict(word.split("=", 1) for word in line.split()[2:])
        self.addresses = self.ready["clients"].split(",")
        self.address = parse_address(self.addresses[0])

    def url(self, target="/", scheme="ws"):
        host, port = self.address[0], self.address[1]
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{target}"

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=PATIENCE):
        """Waits for the exit; afterwards the last figures are in `figures`."""
        status = self.process.wait(seconds)
        self.output.wait_end()
        self.log.wait_end()
        self._is_stopped = True
        self.figures = next((figures for line in reversed(self.log.all())
                             if (figures := parse_figures(line)) is not None), None)
        self._directory.cleanup()
        return status

    def stop(self, seconds=PATIENCE):
        """Stops as an operator does, and checks the status and that every message is accounted for."""
        self.close_clients()
        if not self._is_stopped:
            self.signal(signal.SIGTERM)
            status = self.wait(seconds)
            assert status == 0, f"exit status {status}; the log: {self.log.all()}"
        self.check_books()
        return self.figures

    def close_clients(self):
        for client in self.clients:
            client.sock.close()

    def check_books(self):
        assert self.figures is not None, f"no figures at the end of the log: {self.log.all()}"
        ends = self.figure("wspool_deliveries_total") + self.sum("wspool_dropped_total")
        assert self.figure("wspool_accepted_total") == ends, self.figures
        for now in ("wspool_queued", "wspool_outbox_bytes", "wspool_connections", "wspool_waiters",
                    "wspool_groups"):
            assert self.figure(now) == 0, self.figures
        opened = self.figure("wspool_connections_opened_total")
        assert opened == self.sum("wspool_connections_closed_total"), self.figures

    def figure(self, name):
        """One figure of the end; those that are 0 are not logged."""
        return self.figures.get(name, 0)

    def sum(self, name):
        return sum(value for key, value in self.figures.items() if key.split("{")[0] == name)

    def closed(self, reason):
        return self.figure(f'wspool_connections_closed_total{{reason="{reason}"}}')

    def rejected(self, reason):
        return self.figure(f'wspool_connections_rejected_total{{reason="{reason}"}}')

    def dropped(self, reason):
        return self.figure(f'wspool_dropped_total{{reason="{reason}"}}')

    # ---- figures while it runs: the log tells them every health.interval

    def wait_figure(self, name, at_least=1, seconds=PATIENCE):
        self.log.wait(lambda line: (parse_figures(line) or {}).get(name, 0) >= at_least, seconds)

    def wait_closed(self, reason, at_least=1, seconds=PATIENCE):
        self.wait_figure(f'wspool_connections_closed_total{{reason="{reason}"}}', at_least, seconds)

    def abandon(self):
        """Ends the process however it is; for tests that have already failed."""
        self.close_clients()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.output.wait_end()
        self.log.wait_end()
        self._directory.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.stop()
        else:
            self.abandon()

    # ---- the processes

    def wait_draining(self, workers=1):
        """Waits until each worker has heard of the drain and refuses newcomers."""
        for index in range(workers):
            self.log.wait(lambda line, index=index: f"worker {index} drains" in line)

    def children(self):
        """Process ids by the name that ps shows: "worker 0", "control"."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as file:
            pids = [int(pid) for pid in file.read().split()]
        named = {}
        for pid in pids:
            title = read_proc(pid, "cmdline").split("\0", 1)[0]
            if title.startswith("wspool: "):  # else not born yet, or dead and not waited for
                named[title.removeprefix("wspool: ")] = pid
        return named

    def worker(self, index=0):
        """The process of this worker."""
        return self.children()[f"worker {index}"]

    # ---- what one worker costs

    def memory(self):
        """Bytes of anonymous memory: what the program holds, without the pages of its code."""
        for line in read_proc(self.worker(), "status").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("the process has no memory figure")

    def is_sanitized(self):
        """Under a sanitizer memory and time mean little: the shadow takes terabytes of addresses."""
        return int(read_proc(self.worker(), "statm").split()[0]) * resource.getpagesize() > 1 << 40

    def cpu_seconds(self):
        fields = read_proc(self.worker(), "stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.worker()}/fd"))


def read_proc(pid, name):
    """A file of /proc as text; empty for a process that has just ended."""
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def parse_address(text):
    """A socket address as Python wants it: (host, port), or the path of a unix socket."""
    if text.startswith("unix:"):
        return text[len("unix:"):]
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


def connect(address, seconds=PATIENCE, receive_buffer=None):
    """A connected stream socket; `receive_buffer` bounds what the kernel takes for a slow reader."""
    if isinstance(address, str):
        family = socket.AF_UNIX
    else:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(seconds)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.connect(address)
    if family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
