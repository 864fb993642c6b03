"""Waiting for named events with a deadline; nothing here waits for time to pass."""

import os
import queue
import select
import threading
import time

# Generous, because it is only reached by a failing test: machines that run tests are often busy.
PATIENCE = float(os.environ.get("WSPOOL_TEST_PATIENCE", "10"))


class Deadline:
    def __init__(self, seconds=PATIENCE):
        self._end = time.monotonic() + seconds

    def left(self):
        return max(0.0, self._end - time.monotonic())

    def is_over(self):
        return self.left() == 0.0


class Lines:
    """The lines of a pipe, kept, and readable by whoever waits for one."""

    def __init__(self, stream, name):
        self._changed = threading.Condition()
        self._name = name
        self._lines = []
        self._ended = False
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream):
        for line in iter(stream.readline, b""):
            with self._changed:
                self._lines.append(line.decode(errors="backslashreplace").rstrip("\n"))
                self._changed.notify_all()
        stream.close()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def all(self):
        with self._changed:
            return list(self._lines)

    def wait(self, matches, seconds=PATIENCE):
        """The first line for which `matches` is true, now or later."""
        deadline = Deadline(seconds)
        seen = 0
        with self._changed:
            while True:
                while seen < len(self._lines):
                    line = self._lines[seen]
                    seen += 1
                    if matches(line):
                        return line
                if self._ended or deadline.is_over():
                    what = "ended" if self._ended else f"said nothing more in {seconds:g} s"
                    raise AssertionError(f"{self._name} {what}; it said: {self._lines}")
                self._changed.wait(deadline.left())

    def wait_end(self, seconds=PATIENCE):
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise AssertionError(f"{self._name} is still open after {seconds:g} s")


def take(events, what, seconds=PATIENCE):
    """The next entry of a queue."""
    try:
        return events.get(timeout=seconds)
    except queue.Empty:
        raise AssertionError(f"no {what} within {seconds:g} s") from None


def hung_up(sock, seconds=PATIENCE):
    """Whether the peer's end is gone for good (reset, or closed in both directions) in time.

    A socket that its peer has only shut down is not: so bytes are offered until they are answered by a
    reset.
    """
    deadline = Deadline(seconds)
    poll = select.poll()
    poll.register(sock, select.POLLERR | select.POLLHUP)
    while not deadline.is_over():
        if poll.poll(10):
            return True
        try:
            sock.send(b"\0", 0x40)  # MSG_DONTWAIT: a full socket must not block the check
        except BlockingIOError:
            continue
        except OSError:
            return True
    return False


def eventually(what, sentence, seconds=PATIENCE):
    """The first value of `what()` that is true; asked again and again, for what tells nobody by itself."""
    deadline = Deadline(seconds)
    while True:
        value = what()
        if value:
            return value
        assert not deadline.is_over(), f"in {seconds:g} s it never came to this: {sentence}"
        select.select([], [], [], 0.01)
