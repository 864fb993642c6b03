"""The dashboard in a real browser: it shows what the control API says, and says so when that says nothing."""

import json
import os
import signal
import unittest

from control_api import ControlApi
from gateway import Gateway, Toml
from peer import Peer
from raw_client import RawClient, upgrade_request

ANY = "127.0.0.1:0"
TOKEN = "a-token-of-24-characters"
WORKERS = 2
NONE = "–"


def join(client, group):
    client.text(json.dumps({"type": "join", "group": group, "id": 1}))
    while json.loads(client.read_text()).get("id") != 1:
        pass


def column(rows, index):
    return [row[index] for row in rows]


class Dashboard(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = Peer("chromium_client.mjs")
        cls.addClassCleanup(cls.browser.stop)

    def open(self, gateway, **options):
        tab = self.browser.tab(f"http://{gateway.ready['control']}/", **options)
        tab.watch()
        return tab

    def check_record(self, tab, gateway, *allowed):
        """The page has asked nobody else, and nothing went wrong but what is allowed to."""
        errors, requests = tab.record()
        self.assertEqual([error for error in errors if not any(part in error for part in allowed)], [])
        home = f"http://{gateway.ready['control']}/"
        self.assertEqual([address for address in requests if not address.startswith(home)], [])
        self.assertIn(f"{home}api/stats", requests)


class Figures(Dashboard):
    def test_it_shows_what_the_api_says_and_follows(self):
        with Gateway(workers=WORKERS, control=ANY) as gateway:
            api, tab = ControlApi(gateway), self.open(gateway)
            page = tab.see(lambda page: page.get("connections") == "0" and page["largest-none"] == "None.")
            self.assertEqual(page["state"], "Ready")
            clients = [RawClient.open(gateway, f"/?clientId={priority}{number}&priority={priority}")
                       for number, priority in enumerate(["high", "high", "low", "normal", "normal", "normal"])]
            name = "<b onclick='alert(1)'>tea</b>"
            for client in clients[:3]:
                join(client, name)
            join(clients[3], "milk")
            page = tab.see(lambda page: page["connections"] == "6" and len(page.get("largest", [])) == 2)
            stats = api.stats()
            self.assertEqual(page["connections"], str(stats["connections"]["current"]))
            self.assertEqual(page["connections-max"], f"{stats['connections']['max']:,}")
            self.assertEqual(page["connections-peak"], str(stats["connections"]["peak"]))
            self.assertEqual((page["connected"], page["waiting"], page["groups"]), ("6", "0", str(stats["groups"])))
            self.assertEqual([row[:3] for row in page["seats"]],
                             [["critical", "0", "0"], ["high", "2", "0"], ["normal", "3", "0"], ["low", "1", "0"]])
            self.assertEqual([row[:2] for row in page["largest"]], [[name, "3"], ["milk", "1"]])
            self.assertEqual(column(page["workers"], 0), ["0", "1", "control"])
            self.assertEqual(column(page["workers"], 2)[:2], [str(gateway.worker(0)), str(gateway.worker(1))])
            self.assertEqual([int(held) for held in column(page["workers"], 3)[:2]], api.connections())
            self.assertEqual(sum(int(share.split()[0]) for share in column(page["workers"], 4)[:2]), 200)
            clients[0].finish()
            tab.see(lambda page: page["connections"] == "5" and page["seats"][1][1] == "1")
            late = RawClient.open(gateway, "/?clientId=late&priority=critical")
            tab.see(lambda page: page["connections"] == "6" and page["seats"][0][1] == "1")
            late.check_echo()
            page = tab.see(lambda page: page["messages-in"] not in (NONE, "0/s"))
            self.assertRegex(page["messages-in"], r"^\d\.\d/s$")
            self.assertRegex(page["bytes-in"], r"^[\d.,]+ B/s$")
            self.check_record(tab, gateway)

    def test_it_says_who_was_refused_and_closed(self):
        with Gateway(workers=WORKERS, control=ANY) as gateway:
            tab = self.open(gateway)
            page = tab.see(lambda page: page.get("connections") == "0")
            self.assertEqual(page["ends-none"], "Nothing so far.")
            refused = RawClient(gateway)
            refused.send(upgrade_request("/?priority=nonsense"))
            refused.expect_refusal(400)
            RawClient.open(gateway).finish()
            tab.see(lambda page: page.get("ends") == [["Refused", "bad_priority", "1", "1"],
                                                      ["Closed", "by_peer", "1", "1"]])

    def test_it_shows_the_pools_where_there_are_several(self):
        pools = Toml('[{ name = "trading", path = "/trading", capacity = 10 }]')
        with Gateway(control=ANY, config={"pool": pools}) as gateway:
            client = RawClient.open(gateway, "/trading?priority=high")
            page = self.open(gateway).see(lambda page: page.get("connections") == "1")
            self.assertEqual(page["pools"][5], ["trading", "high", "1", "0", "10"])
            self.assertEqual(page["pools"][1], ["default", "high", "0", "0", "9,990"])
            client.finish()
        with Gateway(control=ANY) as gateway:
            page = self.open(gateway).see(lambda page: page.get("connections") == "0")
            self.assertNotIn("pools", page)

    def test_it_fits_into_a_narrow_window(self):
        with Gateway(workers=WORKERS, control=ANY) as gateway:
            client = RawClient.open(gateway)
            join(client, "x" * 128)
            tab = self.open(gateway, width=320)
            page = tab.see(lambda page: page.get("connections") == "1" and page.get("largest"))
            self.assertFalse(page["isTooWide"])


class Token(Dashboard):
    def test_it_is_asked_for_and_kept_for_the_tab(self):
        with Gateway(workers=WORKERS, control=ANY, config={"control.token": TOKEN}) as gateway:
            tab = self.open(gateway)
            page = tab.see(lambda page: page["state"] == "The control API asks for its token.")
            self.assertIn("token", page)
            self.assertNotIn("figures", page)
            for wrong in (TOKEN[:-1] + "x", "nö"):
                tab.type(wrong)
                page = tab.see(lambda page: page["state"] == "The token was refused." and "token" in page)
                self.assertNotIn("figures", page)
            tab.type(TOKEN)
            page = tab.see(lambda page: page["state"] == "Ready")
            self.assertEqual(page["connections"], "0")
            self.assertNotIn("token", page)
            tab.reload()
            page = tab.see(lambda page: page["state"] != "Asking the gateway.")
            self.assertEqual((page["state"], page["connections"]), ("Ready", "0"))
            self.check_record(tab, gateway, "status of 401")
            other = self.open(gateway)
            other.see(lambda page: page["state"] == "The control API asks for its token.")


class Ends(Dashboard):
    def test_it_shows_the_drain_and_then_that_nobody_answers(self):
        with Gateway(workers=WORKERS, control=ANY, config={"server.drain_time": "5s"}) as gateway:
            clients = [RawClient.open(gateway) for _ in range(8)]
            tab = self.open(gateway)
            tab.see(lambda page: page["state"] == "Ready" and page["connections"] == "8")
            self.assertEqual(ControlApi(gateway).post("drain")[0], 200)
            tab.see(lambda page: page["state"].startswith("Draining: ") and page["connections"] != NONE)
            for client in clients:
                client.sock.close()
            self.assertEqual(gateway.wait(), 0)
            page = tab.see(lambda page: page["state"].startswith("No answer since "))
            self.assertTrue(page["state"].endswith(": the control API cannot be reached."), page["state"])
            for figure in ("connections", "connections-max", "connections-peak", "waiting", "queued", "groups",
                           "connected", "messages-in", "bytes-out"):
                self.assertEqual(page[figure], NONE, figure)
            for table in ("workers", "seats", "ends", "largest"):
                self.assertNotIn(table, page)
                self.assertEqual(page[f"{table}-none"], "Not known now.")
            self.check_record(tab, gateway, "ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")

    def test_it_shows_a_silence_and_goes_on_afterwards(self):
        with Gateway(workers=WORKERS, control=ANY, config={"health.stall": "1m"}) as gateway:
            tab = self.open(gateway)
            tab.see(lambda page: page.get("connections") == "0" and page["state"] == "Ready")
            control = gateway.children()["control"]
            os.kill(control, signal.SIGSTOP)
            try:
                page = tab.see(lambda page: page["state"].startswith("No answer since "))
                self.assertTrue(page["state"].endswith(": it takes too long."), page["state"])
                self.assertEqual((page["connections"], page["as-of"]), (NONE, ""))
            finally:
                os.kill(control, signal.SIGCONT)
            tab.see(lambda page: page["state"] == "Ready" and page["connections"] == "0")

    def test_it_shows_that_a_worker_died(self):
        with Gateway(workers=WORKERS, control=ANY) as gateway:
            tab = self.open(gateway)
            tab.see(lambda page: page.get("connections") == "0")
            killed = gateway.worker(1)
            os.kill(killed, signal.SIGKILL)
            page = tab.see(lambda page: page["workers"][1][7] == "1" and page["workers"][1][1] == "ready")
            self.assertEqual(page["workers"][1][2], str(gateway.worker(1)))
            self.assertRegex(page["workers"][1][9], r"^signal 9, \d+ s ago$")


if __name__ == "__main__":
    unittest.main()
