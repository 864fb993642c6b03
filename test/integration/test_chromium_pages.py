"""Two people in one browser: a page from a web server of the test's own, open in two contexts."""

import functools
import http.server
import signal
import threading
import unittest
import urllib.parse

from gateway import Gateway
from peer import PEERS, Peer


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Pages(unittest.TestCase):
    def setUp(self):
        handler = functools.partial(QuietHandler, directory=PEERS)
        web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(web.server_close)
        self.addCleanup(web.shutdown)
        self.page = f"http://127.0.0.1:{web.server_address[1]}/room.html"
        self.peer = Peer("chromium_client.mjs")
        self.addCleanup(self.peer.stop)

    def open(self, gateway, name):
        url = gateway.url(f"/?clientId={name}")
        tab = self.peer.tab(f"{self.page}?gateway={urllib.parse.quote(url)}")
        opened = tab.next()
        self.assertEqual(opened["open"], "wspool.v1")
        self.assertIn("permessage-deflate", opened["extensions"])
        self.assertEqual(tab.next(), {"type": "welcome", "clientId": name})
        joined = tab.next()
        self.assertEqual((joined["type"], joined["id"], joined["group"]), ("ack", 1, "room"))
        return tab

    def say(self, tab, other, text):
        tab.type(text)
        self.assertEqual(other.next(), {"type": "broadcast", "group": "room", "payload": text})
        self.assertEqual(tab.next()["id"], "said")

    def test_two_tabs_talk_and_are_told_when_the_gateway_restarts(self):
        long_speech = "and so on, " * 3000
        with Gateway() as gateway:
            ann, bob = self.open(gateway, "ann"), self.open(gateway, "bob")
            self.say(ann, bob, "hello from the first tab")
            self.say(bob, ann, "Grüße zurück 😀")
            self.say(ann, bob, long_speech)
            gateway.signal(signal.SIGTERM)
            for tab in (ann, bob):
                self.assertEqual(list(tab.next()), ["type", "reconnectDelay"])
                ended = tab.next()
                self.assertEqual((ended["close"], ended["wasClean"]), (1012, True))
            self.assertEqual(gateway.wait(), 0)
        # Said by the page, and heard by the other one, in fewer bytes than it has.
        self.assertLess(gateway.figure("wspool_bytes_received_total"), len(long_speech))
        self.assertLess(gateway.figure("wspool_bytes_sent_total"), len(long_speech))
        self.assertEqual(gateway.closed("drained"), 2)


if __name__ == "__main__":
    unittest.main()
