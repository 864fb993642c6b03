"""The control API with real clients on several workers: commands, questions, tokens, and deaths."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

from control_api import ControlApi
from gateway import BINARY, Gateway, environment, parse_address
from raw_client import TEXT, RawClient
from waiting import PATIENCE, eventually

ANY = "127.0.0.1:0"
TOKEN = "a-token-of-24-characters"
WORKERS = 2


def say(client, **fields):
    client.text(json.dumps(fields))


def hear(client):
    opcode, payload = client.read_message()
    assert opcode == TEXT
    return json.loads(payload)


def ask(client, **fields):
    say(client, id=1, **fields)
    while (answer := hear(client)).get("id") != 1:
        pass
    return answer


def named(gateway, client_id, **options):
    return RawClient.open(gateway, f"/?clientId={client_id}", **options)


def on_both_workers(gateway, api, prefix):
    """Clients with ids, by worker: at least one on each."""
    found = {}
    for number in range(64):
        name = f"{prefix}{number}"
        client = named(gateway, name)
        found.setdefault(api.result(f"/api/clients/{name}")["worker"], []).append((name, client))
        if len(found) == WORKERS:
            return found
    raise AssertionError(f"all clients are on one worker: {found}")


class Shared(unittest.TestCase):
    """One gateway for all tests of the class; each has groups and ids of its own."""

    @classmethod
    def setUpClass(cls):
        cls.gateway = Gateway(workers=WORKERS, control=ANY)
        cls.addClassCleanup(cls.gateway.stop)
        cls.api = ControlApi(cls.gateway)

    def name(self):
        return self.id().rsplit(".", 1)[1]


class Commands(Shared):
    def test_a_broadcast_reaches_all_members_byte_for_byte(self):
        group = self.name()
        clients = [client for pairs in on_both_workers(self.gateway, self.api, group).values() for _, client in pairs]
        for client in clients:
            ask(client, type="join", group=group)
        for number, payload in enumerate(['{"b" : 1.0e+3,"a":[ ] }', '"\\ud800"', "123456789012345678901234567890",
                                          "null", '{"a":1,"a":2}'], 1):
            status, result = self.api.post("broadcast", f'{{ "payload" : {payload} ,"group":"{group}"}}')
            self.assertEqual((status, result["offset"]), (200, number))
            for client in clients:
                self.assertEqual(client.read_text(),
                                 f'{{"type":"broadcast","group":"{group}","payload":{payload}}}')

    def test_a_direct_reaches_its_target_wherever_it_is(self):
        for pairs in on_both_workers(self.gateway, self.api, self.name()).values():
            name, client = pairs[-1]
            self.assertEqual(self.api.post("direct", f'{{"targetId":"{name}","payload":[1, 2]}}'), (200, {}))
            self.assertEqual(client.read_text(), '{"type":"direct","payload":[1, 2],"from":""}')
        status, error = self.api.post("direct", {"targetId": "nobody at all", "payload": 1})
        self.assertEqual((status, error["code"]), (404, "unknown_target"))

    def test_clients_are_joined_and_leave_wherever_they_and_the_group_are(self):
        clients = on_both_workers(self.gateway, self.api, self.name())
        for group in [f"{self.name()} {number}" for number in range(8)]:  # some of each home
            for pairs in clients.values():
                name, client = pairs[-1]
                status, joined = self.api.post("join", {"clientId": name, "group": group})
                self.assertEqual((status, joined["group"]), (200, group))
                again = self.api.post("join", {"clientId": name, "group": group})
                self.assertEqual(again[0], 200)
                _, sent = self.api.post("broadcast", {"group": group, "payload": name})
                self.assertEqual(sent["epoch"], joined["epoch"])
                self.assertEqual(hear(client)["payload"], name)
                self.assertEqual(self.api.post("leave", {"clientId": name, "group": group}), (200, {}))
                self.assertEqual(self.api.post("leave", {"clientId": name, "group": group}), (200, {}))
                self.api.post("broadcast", {"group": group, "payload": "not heard"})
                self.assertEqual(ask(client, type="ping"), {"type": "pong", "id": 1})

    def test_a_client_is_in_so_many_groups_at_most(self):
        name = self.name()
        with Gateway(workers=WORKERS, control=ANY, config={"limits.groups_per_client": 2}) as gateway:
            api = ControlApi(gateway)
            named(gateway, name)
            for number in range(2):
                self.assertEqual(api.post("join", {"clientId": name, "group": str(number)})[0], 200)
            status, error = api.post("join", {"clientId": name, "group": "one more"})
            self.assertEqual((status, error["code"]), (409, "too_many_groups"))

    def test_a_client_is_disconnected_with_code_and_reason(self):
        for pairs in on_both_workers(self.gateway, self.api, self.name()).values():
            name, client = pairs[-1]
            command = {"clientId": name, "code": 4000, "reason": "enough"}
            self.assertEqual(self.api.post("disconnect", command), (200, {}))
            self.assertEqual(client.expect_close(4000), "enough")
            eventually(lambda name=name: self.api.post("disconnect", {"clientId": name})[0] == 404, "it is gone")
        client = named(self.gateway, self.name())
        self.assertEqual(self.api.post("disconnect", {"clientId": self.name()})[0], 200)
        client.expect_close(1008)

    def test_what_is_no_command_is_refused(self):
        for name, body, code in [
                ("broadcast", "{", "bad_request"), ("broadcast", '{"group":"g"}', "bad_request"),
                ("broadcast", '{"group":"","payload":1}', "bad_name"),
                ("broadcast", '{"group":"g","payload":1,"more":1}', "bad_request"),
                ("direct", '{"targetId":7,"payload":1}', "bad_request"),
                ("join", '{"clientId":"a"}', "bad_request"),
                ("disconnect", '{"clientId":"a","code":1006}', "bad_request"),
                ("batch", '{"commands":[{"fly":{}}]}', "bad_request")]:
            with self.subTest(name=name, body=body):
                status, error = self.api.post(name, body)
                self.assertEqual((status, error["code"]), (400, code))
                self.assertTrue(error["message"].endswith("."), error)
        self.assertEqual(self.api.post("broadcast")[0], 400)

    def test_a_batch_is_done_in_order(self):
        name = self.name()
        client = named(self.gateway, name)
        commands = [{"join": {"clientId": name, "group": name}}]
        commands += [{"broadcast": {"group": name, "payload": number}} for number in range(100)]
        commands += [{"direct": {"targetId": "nobody", "payload": 1}}, {"leave": {"clientId": name, "group": name}},
                     {"broadcast": {"group": name, "payload": "not heard"}},
                     {"direct": {"targetId": name, "payload": "last"}}]
        status, result = self.api.post("batch", {"commands": commands})
        self.assertEqual((status, result["failed"], len(result["results"])), (200, 1, len(commands)))
        self.assertEqual([one["result"]["offset"] for one in result["results"][1:101]], list(range(1, 101)))
        self.assertEqual(result["results"][101]["error"]["code"], "unknown_target")
        self.assertEqual([hear(client)["payload"] for _ in range(101)], [*range(100), "last"])
        too_many = [{"leave": {"clientId": "a", "group": "g"}}] * 1001
        self.assertEqual(self.api.post("batch", {"commands": too_many})[0], 400)

    def test_what_comes_later_says_so(self):
        for name in ("rebalance", "upgrade"):
            status, error = self.api.post(name)
            self.assertEqual((status, error["code"]), (501, "not_implemented"))


class Questions(Shared):
    def pages(self, path, key, limit):
        found, after = [], ""
        while True:
            result = self.api.result(f"{path}?limit={limit}{after}")
            self.assertLessEqual(len(result[key]), limit)
            self.assertEqual(result["missing"], [])
            found += result[key]
            if "next" not in result:
                return found
            after = f"&after={result['next']}"

    def test_every_client_is_listed_once_whatever_the_page(self):
        prefix = self.name()
        names = {f"{prefix} {number}" for number in range(40)}
        clients = [named(self.gateway, name.replace(" ", "%20")) for name in names]
        for limit in (1, 7, 1000):
            listed = [client for client in self.pages("/api/clients", "clients", limit)
                      if client["clientId"].startswith(prefix)]
            self.assertEqual(len(listed), len(names))
            self.assertEqual({client["clientId"] for client in listed}, names)
        self.assertEqual({client["worker"] for client in listed}, set(range(WORKERS)))
        for client in clients:
            client.reset()

    def test_one_client_is_told_with_its_groups(self):
        name = self.name()
        client = named(self.gateway, name + "%2F%C3%A9")
        for group in ("a", "b"):
            ask(client, type="join", group=f"{name} {group}")
        told = self.api.result(f"/api/clients/{name}%2F%C3%A9")
        self.assertEqual(told["clientId"], f"{name}/é")
        self.assertEqual(sorted(told["groups"]), [f"{name} a", f"{name} b"])
        self.assertEqual((told["groupCount"], told["outboxBytes"], told["missing"]), (2, 0, []))
        self.assertGreaterEqual(told["connectedSeconds"], 0)
        self.assertEqual(self.api.error("/api/clients/nobody"), (404, "unknown_target"))
        self.assertEqual(self.api.error("/api/clients/%ff"), (400, "bad_name"))

    def test_every_group_is_listed_once_with_its_members(self):
        prefix = self.name()
        clients = [client for pairs in on_both_workers(self.gateway, self.api, prefix).values() for _, client in pairs]
        groups = {f"{prefix} {number}" for number in range(20)}
        for group in groups:
            for client in clients:
                ask(client, type="join", group=group)
            self.api.post("broadcast", {"group": group, "payload": 1})
        for limit in (3, 1000):
            listed = [group for group in self.pages("/api/groups", "groups", limit)
                      if group["group"].startswith(prefix)]
            self.assertEqual(len(listed), len(groups))
            self.assertEqual({group["group"] for group in listed}, groups)
            for group in listed:
                self.assertEqual((group["members"], group["offset"], group["history"]), (len(clients), 1, 1))
                self.assertEqual(sum(worker["members"] for worker in group["workers"]), len(clients))
                self.assertEqual(len(group["workers"]), WORKERS)
        self.assertEqual({group["home"] for group in listed}, set(range(WORKERS)))
        one = self.api.result(f"/api/groups/{prefix}%200")
        self.assertEqual((one["members"], one["offset"]), (len(clients), 1))
        self.assertEqual(self.api.error("/api/groups/nowhere"), (404, "not_found"))

    def test_pages_that_cannot_be_are_refused(self):
        for query in ("limit=0", "limit=1001", "limit=-1", "after=x", "after=0.x"):
            self.assertEqual(self.api.error(f"/api/clients?{query}"), (400, "bad_request"))


class Requests(Shared):
    def test_methods_and_paths(self):
        for path, method, status, allow in [("/api/stats", "POST", 405, "GET, HEAD"),
                                            ("/metrics", "PUT", 405, "GET, HEAD"),
                                            ("/api/clients/a", "DELETE", 405, "GET, HEAD"),
                                            ("/api/batch", "GET", 405, "POST"), ("/", "POST", 405, "GET, HEAD"),
                                            ("/nowhere", "GET", 404, None),
                                            ("/api/", "GET", 404, None), ("/api/clients/", "GET", 404, None)]:
            with self.subTest(path=path, method=method):
                got, headers, _ = self.api.ask(path, method)
                self.assertEqual((got, headers["allow"]), (status, allow))

    def test_head_is_get_without_its_body(self):
        status, headers, text = self.api.ask("/api/stats", "HEAD")
        self.assertEqual((status, text), (200, ""))
        self.assertGreater(int(headers["content-length"]), 100)

    def test_the_dashboard_comes_with_its_headers(self):
        for path, kind in [("/", "text/html"), ("/dashboard.js", "text/javascript"), ("/dashboard.css", "text/css")]:
            with self.subTest(path=path):
                status, headers, text = self.api.ask(path)
                self.assertEqual((status, headers["content-type"]), (200, f"{kind}; charset=utf-8"))
                self.assertTrue(headers["content-security-policy"].startswith("default-src 'none'; "), headers)
                self.assertEqual([headers[name] for name in ("x-content-type-options", "referrer-policy",
                                                             "cache-control")],
                                 ["nosniff", "no-referrer", "no-cache"])
                status, of_head, nothing = self.api.ask(path, "HEAD")
                self.assertEqual((status, nothing), (200, ""))
                self.assertEqual(int(of_head["content-length"]), len(text.encode()))
                self.assertEqual(of_head["content-security-policy"], headers["content-security-policy"])
                self.assertEqual(self.api.ask(path, headers={"Host": "evil.example"})[0], 403)
                self.assertEqual(self.api.ask(path, headers={"Origin": "http://evil.example"})[0], 403)

    def raw(self, head, body=b""):
        client = RawClient(parse_address(self.gateway.ready["control"]))
        self.addCleanup(client.sock.close)
        client.send(head.replace("\n", "\r\n").encode() + body)
        return client.read_response().status

    def test_bodies_have_a_bound_and_a_length(self):
        post = "POST /api/broadcast HTTP/1.1\nHost: localhost\nContent-Type: application/json\n"
        self.assertEqual(self.raw(post + "Content-Length: 1048577\n\n"), 413)
        self.assertEqual(self.raw(post + "Transfer-Encoding: chunked\n\n", b"2\r\n{}\r\n0\r\n\r\n"), 411)
        self.assertEqual(self.raw(post + "Content-Length: 2\nContent-Length: 2\n\n", b"{}"), 400)
        self.assertEqual(self.raw(post + "Content-Length: 2\nTransfer-Encoding: chunked\n\n", b"{}"), 400)
        self.assertEqual(self.raw("GET /api/stats HTTP/1.1\nHost: localhost\nContent-Length: 2\n\n", b"{}"), 400)
        payload = "x" * 60_000
        self.assertEqual(self.api.post("broadcast", {"group": self.name(), "payload": payload})[0], 200)

    def test_a_client_port_takes_no_body_still(self):
        client = RawClient(self.gateway)
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
        client.expect_refusal(400)

    def test_a_browser_is_not_used_against_it(self):
        body = '{"group":"g","payload":1}'
        for headers, status in [({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403),
                                ({"Host": "evil.example"}, 403), ({"Content-Type": "text/plain"}, 415),
                                ({"Content-Type": None}, 415), ({"Host": "localhost:1"}, 200),
                                ({"Origin": "http://localhost", "Host": "localhost"}, 200)]:
            with self.subTest(headers=headers):
                self.assertEqual(self.api.ask("/api/broadcast", "POST", body, headers)[0], status)


class Tokens(unittest.TestCase):
    def check(self, gateway):
        api, with_token = ControlApi(gateway), ControlApi(gateway, TOKEN)
        for path in ("/metrics", "/api/stats", "/api/clients", "/nothing", "/api/nothing"):
            status, headers, _ = api.ask(path)
            self.assertEqual((status, headers["www-authenticate"]), (401, "Bearer"))
            self.assertEqual(ControlApi(gateway, TOKEN[:-1] + "x").ask(path)[0], 401)
        self.assertEqual(api.post("drain")[0], 401)
        self.assertEqual((api.status("/healthz"), api.status("/readyz"), api.status("/")), (200, 200, 200))
        self.assertEqual(with_token.stats()["draining"], False)
        self.assertEqual(with_token.post("broadcast", {"group": "g", "payload": 1})[0], 200)
        self.assertEqual(with_token.ask("/api/stats", headers={"Host": "a.name"})[0], 200)

    def test_the_token_is_asked_for(self):
        with Gateway(control=ANY, config={"control.token": TOKEN}) as gateway:
            self.check(gateway)

    def test_the_token_may_stand_in_a_file(self):
        path = os.path.join(self.enterContext(tempfile.TemporaryDirectory()), "token")
        with open(path, "w", encoding="ascii") as file:
            file.write(TOKEN + "\n")
        with Gateway(control="0.0.0.0:0", config={"control.token_file": path}) as gateway:
            self.check(gateway)
            gateway.log.wait(lambda line: "the control API at 0.0.0.0" in line)

    def refused(self, *options, **env):
        result = subprocess.run([BINARY, "serve", "--listen", ANY, *options], env=environment(env), timeout=PATIENCE,
                                capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 2, result.stderr)
        return result.stderr

    def test_an_address_that_others_reach_wants_one(self):
        self.assertIn("control.token", self.refused("--control", "0.0.0.0:0"))
        self.assertIn("control.token", self.refused("--control", "[::]:0"))
        self.assertIn("at least 16", self.refused("--control", ANY, WSPOOL_CONTROL_TOKEN="short"))
        self.assertIn("cannot be opened", self.refused("--control", ANY, WSPOOL_CONTROL_TOKEN_FILE="/nowhere"))


class Drain(unittest.TestCase):
    def test_the_verb_drains_and_waits_for_the_end(self):
        with Gateway(workers=WORKERS, control=ANY, config={"control.token": TOKEN}) as gateway:
            client = RawClient.open(gateway)
            command = [BINARY, "drain", "--control", gateway.ready["control"]]
            no_token = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=PATIENCE,
                                      check=False)
            self.assertEqual(no_token.returncode, 1)
            self.assertIn("control.token", no_token.stderr)
            draining = subprocess.Popen(command, env=environment({"WSPOOL_CONTROL_TOKEN": TOKEN}),
                                        stdout=subprocess.PIPE, text=True)
            client.expect_close(1012)
            said, _ = draining.communicate(timeout=PATIENCE)
            self.assertEqual(draining.returncode, 0)
            self.assertIn("draining, connections left: 1", said)
            self.assertIn("the gateway has ended", said)
            self.assertEqual(gateway.wait(), 0)
        gone = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False)
        self.assertEqual(gone.returncode, 1)

    def test_asked_twice_it_is_still_paced(self):
        with Gateway(workers=WORKERS, control=ANY, config={"server.drain_time": "300ms"}) as gateway:
            api = ControlApi(gateway)
            clients = [RawClient.open(gateway) for _ in range(3)]
            self.assertEqual(api.post("drain")[1]["connections"], 3)
            self.assertEqual(api.post("drain")[0], 200)
            self.assertEqual(api.status("/readyz"), 503)
            for client in clients:
                client.expect_close(1012)
            self.assertEqual(gateway.wait(), 0)


class Deaths(unittest.TestCase):
    def test_a_worker_that_is_silent_is_named_and_hangs_nobody(self):
        with Gateway(workers=WORKERS, control=ANY, config={"health.stall": "1m"}) as gateway:
            api = ControlApi(gateway)
            clients = on_both_workers(gateway, api, "c")
            os.kill(gateway.worker(1), signal.SIGSTOP)
            try:
                result = api.result("/api/clients")
                self.assertEqual(result["missing"], [1])
                self.assertEqual(len(result["clients"]), len(clients[0]))
                self.assertEqual(api.result("/api/groups")["missing"], [1])
                name = clients[0][0][0]
                self.assertEqual(api.result(f"/api/clients/{name}")["missing"], [1])
                self.assertEqual(api.error("/api/clients/nobody"), (504, "unavailable"))
                status, error = api.post("disconnect", {"clientId": clients[1][0][0]})
                self.assertEqual((status, error["code"]), (504, "unavailable"))
            finally:
                os.kill(gateway.worker(1), signal.SIGCONT)
            eventually(lambda: api.result("/api/clients")["missing"] == [], "it replies again")

    def test_a_worker_that_dies_while_it_is_asked_is_named(self):
        with Gateway(workers=WORKERS, control=ANY, config={"health.stall": "1m"}) as gateway:
            api = ControlApi(gateway)
            os.kill(gateway.worker(1), signal.SIGSTOP)
            listing = api.begin("/api/groups")
            self.assertEqual(api.status("/healthz"), 200)  # which came later, so the other is under way
            os.kill(gateway.worker(1), signal.SIGKILL)
            answer = json.loads(listing.getresponse().read())["result"]
            listing.close()
            self.assertEqual(answer["missing"], [1])
            eventually(lambda: api.result("/api/groups")["missing"] == [], "the next one replies")

    def test_commands_go_on_when_a_worker_is_replaced(self):
        """What was acknowledged is heard by those who stay, once and in order."""
        with Gateway(workers=WORKERS, control=ANY) as gateway:
            api = ControlApi(gateway)
            clients = on_both_workers(gateway, api, "c")
            members = [client for _, client in clients[0]]
            groups = [f"g{number}" for number in range(4)]
            for group in groups:
                for member in members:
                    ask(member, type="join", group=group)
            acknowledged = {group: [] for group in groups}
            old = gateway.worker(1)
            for number in range(60):
                if number == 20:
                    os.kill(old, signal.SIGKILL)
                group = groups[number % len(groups)]
                if api.post("broadcast", {"group": group, "payload": number})[0] == 200:
                    acknowledged[group].append(number)
            self.assertGreater(sum(map(len, acknowledged.values())), 40)
            for member in members:
                heard = {group: [] for group in groups}
                say(member, type="the end")
                while (one := hear(member))["type"] != "echo":
                    heard[one["group"]].append(one["payload"])
                for group in groups:
                    self.assertEqual([n for n in heard[group] if n in acknowledged[group]], acknowledged[group])
                    self.assertEqual(len(heard[group]), len(set(heard[group])))
            for pairs in clients.values():
                for _, client in pairs:
                    client.reset()

    def test_clients_notice_nothing_when_the_control_process_dies(self):
        with Gateway(workers=WORKERS, control=ANY) as gateway:
            api = ControlApi(gateway)
            clients = on_both_workers(gateway, api, "c")
            members = [client for pairs in clients.values() for _, client in pairs]
            for member in members:
                ask(member, type="join", group="g")
            sender = RawClient.open(gateway)
            stop = threading.Event()
            sent = []

            def publish():
                while not stop.is_set():
                    sent.append(len(sent))
                    ask(sender, type="broadcast", group="g", payload=sent[-1])

            publishing = threading.Thread(target=publish, daemon=True)
            publishing.start()
            for _ in range(3):
                old = gateway.children()["control"]
                eventually(lambda: api.post("direct", {"targetId": "nobody", "payload": 1})[0] == 404, "it answers")
                os.kill(old, signal.SIGKILL)
                eventually(lambda old=old: gateway.children().get("control", old) != old, "it is replaced")
            name = clients[0][0][0]

            def is_back():
                try:
                    return api.post("join", {"clientId": name, "group": "later"})[0] == 200
                except OSError:
                    return False

            eventually(is_back, "the new one gives commands")
            stop.set()
            publishing.join(PATIENCE)
            for member in members:
                self.assertEqual([hear(member)["payload"] for _ in sent], sent)
            self.assertEqual(api.result(f"/api/clients/{name}")["groupCount"], 2)
            self.assertEqual(api.post("broadcast", {"group": "later", "payload": "x"})[0], 200)
            self.assertEqual(hear(clients[0][0][1])["payload"], "x")


class UnixSocket(unittest.TestCase):
    def test_it_is_served_there_too(self):
        path = os.path.join(self.enterContext(tempfile.TemporaryDirectory()), "control")
        with Gateway(control=f"unix:{path}"):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(PATIENCE)
                sock.connect(path)
                sock.sendall(b"GET /api/stats HTTP/1.1\r\nHost: any.name\r\n\r\n")
                self.assertTrue(sock.recv(100).startswith(b"HTTP/1.1 200 "))


if __name__ == "__main__":
    unittest.main()
