"""What a worker's seats must look like, worked out apart from the gateway from what that worker saw: its
events at log level debug. Each event is either something that happened to it (asked, cancelled, released,
replaced), which the rules are applied to, or something that it did, which must be what they say."""

import re

PRIORITIES = ("critical", "high", "normal", "low")
LINE = re.compile(r"debug: seat worker=(\d+) at=(\d+) event=(\w+) client=(\d+) pool=(\d+) priority=(\w+) other=(\d+)")
SECOND = 1_000_000_000


def events_by_worker(lines):
    """{worker: [(time, event, client, class, other)]} of the shared pool, in order."""
    found = {}
    for line in lines:
        if match := LINE.search(line):
            worker, at, event, client, pool, priority, other = match.groups()
            assert pool == "0", line
            found.setdefault(int(worker), []).append(
                (int(at), event, int(client), PRIORITIES.index(priority), int(other)))
    return found


def nominal_seats(seats, shares):
    """Largest remainder, ties to the higher class; a class with a share has a seat if there are enough."""
    total = sum(shares)
    exact = [seats * share for share in shares]
    parts = [value // total for value in exact]
    by_rest = sorted(range(4), key=lambda c: (-(exact[c] % total), c))
    for c in by_rest[:seats - sum(parts)]:
        parts[c] += 1
    return parts


class Seat:
    def __init__(self, klass, since, number):
        self.klass, self.charged = klass, klass
        self.since, self.number = since, number
        self.leaving_until = None


class Oracle:
    def __init__(self, seats, *, shares=None, waiters, timeouts, min_hold=0, grace=0, percent=10, slack=3 * SECOND):
        self.seats, self.has_shares, self.waiters_max, self.slack = seats, shares is not None, waiters, slack
        self.nominal = nominal_seats(seats, shares) if shares else [0] * 4
        self.kept = [self.nominal[0], 0, 0, 0]  # what is lent to nobody
        self.timeouts, self.min_hold, self.grace = timeouts, min_hold, grace
        self.burst = max(1, seats * percent // 100)
        self.interval = SECOND // self.burst
        self.budget_used_until = 0
        self.holders = {}
        self.queues = [([], []) for _ in range(4)]  # those ahead, and the others: (client, since)
        self.nominated = [[] for _ in range(4)]  # seats that leave for a class, oldest first
        self.orphaned = [[] for _ in range(4)]  # those that leave for nobody, by the class of the holder
        self.expected = []  # clients that must be admitted next
        self.counts = dict.fromkeys(
            ("seated", "waited", "replaced", "timed_out", "cancelled", "refused", "drained"), 0)
        self.queued = 0
        self.preemptions = {}
        self.peak = 0
        self.pending = None  # the time of a batch of ends of waits and graces
        self.answer = None
        self.number = 0

    # ---- figures
    def used(self, c):
        return sum(seat.charged == c for seat in self.holders.values())

    def by_priority(self):
        return {name: sum(s.klass == c for s in self.holders.values()) for c, name in enumerate(PRIORITIES)}

    def waiting(self):
        return {name: self.length(c) for c, name in enumerate(PRIORITIES)}

    def length(self, c):
        return len(self.queues[c][0]) + len(self.queues[c][1])

    # ---- the rules
    def admits(self, c):
        free = self.seats - len(self.holders)
        held = sum(max(0, self.kept[d] - self.used(d)) for d in range(4) if d != c)
        return free > 0 and (not self.has_shares or free - held > 0)

    def wants(self, c):
        return (self.has_shares and len(self.nominated[c]) < self.length(c) and self.used(c) < self.nominal[c]
                and len(self.holders) <= self.seats)

    def is_owed(self, c):
        lapses = 0 < len(self.nominated[c]) == self.length(c)
        return self.used(c) - lapses < self.nominal[c]

    def victims(self, c):
        """(class, its seats that may be asked for), of the lowest class that has some."""
        for d in range(3, c, -1):
            of_d = [(client, seat) for client, seat in self.holders.items()
                    if seat.klass == d and seat.leaving_until is None]
            if self.used(d) > self.nominal[d] and of_d:
                return d, of_d
        return None, []

    def budget_ready(self):
        return self.budget_used_until - (self.burst - 1) * self.interval

    def sit(self, client, c, now):
        self.number += 1
        self.holders[client] = Seat(c, now, self.number)
        self.peak = max(self.peak, len(self.holders))
        assert len(self.holders) <= self.seats, "more seats are taken than there are"

    def leave_queue(self, client, c):
        for queue in self.queues[c]:
            queue[:] = [waiter for waiter in queue if waiter[0] != client]
        while len(self.nominated[c]) > self.length(c):
            victim = self.nominated[c].pop()
            self.holders[victim].charged = self.holders[victim].klass
            self.orphaned[self.holders[victim].klass].append(victim)

    def nominate(self, victim, c):
        self.holders[victim].charged = c
        self.nominated[c].append(victim)

    def seat_front(self, c, now):
        client = (self.queues[c][0] or self.queues[c][1])[0][0]
        self.leave_queue(client, c)
        self.sit(client, c, now)
        self.expected.append(client)

    def dispatch(self, now):
        while self.dispatch_one(now) or self.adopt_one():
            pass

    def dispatch_one(self, now):
        for must_be_owed in (True, False):
            for c in range(4):
                if self.length(c) and self.admits(c) and (not must_be_owed or self.is_owed(c)):
                    self.seat_front(c, now)
                    return True
        return False

    def adopt_one(self):
        for c in filter(self.wants, range(4)):
            for d in range(3, c, -1):
                if self.used(d) > self.nominal[d] and self.orphaned[d]:
                    self.nominate(self.orphaned[d].pop(0), c)
                    return True
        return False

    # ---- what happened
    def feed(self, at, event, client, c, other):
        if self.answer is not None:
            assert (event, other if event == "queued" else 0) == self.answer, (event, other, self.answer)
            self.answer = None
            return
        if self.pending is not None and (event not in ("timed_out", "revoked") or at != self.pending):
            now, self.pending = self.pending, None
            self.dispatch(now)
        self.check_bounds(at)
        getattr(self, event)(at, client, c, other)

    def asked(self, at, client, c, other):
        if self.admits(c):
            self.answer = ("seated", 0)
            self.counts["seated"] += 1
            self.sit(client, c, at)
        elif self.length(c) >= self.waiters_max:
            self.answer = ("refused", 0)
            self.counts["refused"] += 1
            return
        else:
            self.queues[c][0 if other else 1].append((client, at))
            self.queued += 1
            self.answer = ("queued", len(self.queues[c][0]) if other else self.length(c))
        self.dispatch(at)

    def admitted(self, at, client, c, other):
        assert self.expected, f"{client} is admitted, and nobody should be"
        assert self.expected.pop(0) == client, f"{client} is admitted before its turn"
        self.counts["waited"] += 1

    def cancelled(self, at, client, c, other):
        self.counts["cancelled"] += 1
        self.leave_queue(client, c)
        self.dispatch(at)

    def timed_out(self, at, client, c, other):
        since = dict(self.queues[c][0] + self.queues[c][1])[client]
        assert at >= since + self.timeouts[c], f"{client} waited {(at - since) / SECOND} s only"
        self.counts["timed_out"] += 1
        self.leave_queue(client, c)
        self.pending = at

    def drained(self, at, client, c, other):
        self.counts["drained"] += 1
        self.leave_queue(client, c)

    def replaced(self, at, client, c, old):
        self.counts["replaced"] += 1
        seat = self.holders[client] = self.holders.pop(old)
        assert seat.leaving_until is None
        if seat.klass != c:
            self.number += 1
            seat.klass = seat.charged = c
            seat.since, seat.number = at, self.number
        self.dispatch(at)

    def preempted(self, at, victim, d, c):
        assert not self.expected, "a seat is taken back before those that were free were given"
        assert self.wants(c), f"nobody of class {c} may take a seat back"
        assert self.budget_ready() <= at, "more seats are taken back than the budget allows"
        for higher in filter(self.wants, range(c)):
            settled = [s for _, s in self.victims(higher)[1] if at - s.since >= self.min_hold]
            assert not settled, f"class {c} takes a seat back before class {higher}"
        lowest, of_lowest = self.victims(c)
        assert lowest == d, f"class {d} loses a seat, and class {lowest} should"
        settled = [(s.number, client) for client, s in of_lowest if at - s.since >= self.min_hold]
        assert settled and max(settled)[1] == victim, f"not {victim} should lose its seat, but {max(settled)[1]}"
        self.holders[victim].leaving_until = at + self.grace
        self.nominate(victim, c)
        self.budget_used_until = max(self.budget_used_until, at) + self.interval
        key = (PRIORITIES[d], PRIORITIES[c])
        self.preemptions[key] = self.preemptions.get(key, 0) + 1
        self.dispatch(at)

    def revoked(self, at, victim, d, c):
        assert at >= self.holders[victim].leaving_until, f"{victim} had no grace"
        self.pending = at

    def released(self, at, client, c, other):
        seat = self.holders.pop(client)
        for leaving in (self.nominated[seat.charged], self.orphaned[seat.klass]):
            if client in leaving:
                leaving.remove(client)
        if seat.charged != seat.klass:
            self.seat_front(seat.charged, at)
        self.dispatch(at)

    def check_bounds(self, now):
        """Nobody waits, keeps a seat that is taken back, or is owed one, for longer than the rules say."""
        for c in range(4):
            for client, since in self.queues[c][0] + self.queues[c][1]:
                assert now <= since + self.timeouts[c] + self.slack, f"{client} waits for ever"
            if self.wants(c):
                _, seats = self.victims(c)
                due = min((max(s.since + self.min_hold, self.budget_ready()) for _, s in seats), default=now)
                assert now <= due + self.slack, f"class {c} does not get the seat that it is owed"
        for client, seat in self.holders.items():
            assert seat.leaving_until is None or now <= seat.leaving_until + self.slack, f"{client} does not leave"

    def end(self):
        if self.pending is not None:
            self.dispatch(self.pending)
        assert not self.expected and self.answer is None, "somebody was not admitted"
