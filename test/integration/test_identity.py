"""Who clients are, with tokens that another implementation signed."""

import base64
import hashlib
import hmac
import http.server
import json
import os
import subprocess
import tempfile
import threading
import time
import unittest

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway import BINARY, Gateway, Toml, environment
from peer import Peer
from raw_client import TEXT, RawClient, frame, upgrade_request

SECRET = "a secret of more than thirty-two bytes"
ISSUER = "https://id.example"


def part(data):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Keys:
    """One of each kind; the gateway gets the public halves."""

    def __init__(self, directory):
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.files = {}
        for name, key in (("rsa", self.rsa), ("ec", self.ec)):
            self.files[name] = os.path.join(directory, name + ".pem")
            with open(self.files[name], "wb") as file:
                file.write(key.public_key().public_bytes(
                    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))

    def sign(self, algorithm, data):
        if algorithm == "HS256":
            return hmac.new(SECRET.encode(), data, hashlib.sha256).digest()
        if algorithm == "RS256":
            return self.rsa.sign(data, padding.PKCS1v15(), hashes.SHA256())
        r, s = decode_dss_signature(self.ec.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def token(self, algorithm="HS256", *, life=60, header=None, **claims):
        kid = {"HS256": "h", "RS256": "r", "ES256": "e"}[algorithm]
        claims = {"iss": ISSUER, "aud": "wspool", "exp": time.time() + life, **claims}
        signed = part(header or {"alg": algorithm, "typ": "JWT", "kid": kid}) + "." + part(claims)
        return signed + "." + part(self.sign(algorithm, signed.encode()))


def bearer(token):
    return f"Authorization: Bearer {token}"


def protocols(*names):
    return "Sec-WebSocket-Protocol: " + ", ".join(names)


class Identity(unittest.TestCase):
    extra = {}

    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory(prefix="wspool-keys-")
        cls.addClassCleanup(directory.cleanup)
        cls.keys = Keys(directory.name)
        cls.gateway = Gateway(workers=2, config=cls.config())
        cls.addClassCleanup(cls.gateway.stop)

    @classmethod
    def config(cls):
        return {"auth.mode": "jwt", "limits.rate_class": Toml('[{ name = "slow", rate = "1/s" }]'),
                "auth.issuer": Toml(
            f'[{{ name = "{ISSUER}", audience = "wspool", keys = ['
            f'{{ id = "h", alg = "HS256", secret = "{SECRET}" }},'
            f'{{ id = "r", alg = "RS256", file = "{cls.keys.files["rsa"]}" }},'
            f'{{ id = "e", alg = "ES256", file = "{cls.keys.files["ec"]}" }}] }}]'), **cls.extra}

    def open(self, token, *more):
        return RawClient.open(self.gateway, headers=[bearer(token), protocols("wspool.v1"), *more])

    def refused(self, status, target="/", *headers, host="gateway.test"):
        client = RawClient(self.gateway)
        client.send(upgrade_request(target, headers, host=host))
        return client.expect_refusal(status)

    def welcome(self, client):
        message = json.loads(client.read_text())
        self.assertEqual(message["type"], "welcome")
        return message["clientId"]


class Tokens(Identity):
    def test_each_algorithm_lets_its_client_in_under_its_sub(self):
        for algorithm in ("HS256", "RS256", "ES256"):
            name = f"alice {algorithm} \u00e4"
            client = self.open(self.keys.token(algorithm, sub=name))
            self.assertEqual(self.welcome(client), name)
            client.finish()

    def test_without_sub_a_client_is_anonymous(self):
        client = self.open(self.keys.token())
        self.assertTrue(self.welcome(client).startswith("anon_"))
        client.finish()

    def test_the_request_overrides_nothing(self):
        client = RawClient.open(
            self.gateway, "/?clientId=mallory&priority=nonsense",
            [bearer(self.keys.token(sub="bob")), "X-Client-Id: mallory", protocols("wspool.v1")])
        self.assertEqual(self.welcome(client), "bob")
        client.finish()

    def test_a_token_among_the_subprotocols_is_echoed_only_where_nothing_else_is_offered(self):
        token = self.keys.token(sub="carol")
        client = RawClient(self.gateway)
        response = client.upgrade(headers=[protocols("chat", "bearer." + token)])
        self.assertEqual(response.headers["sec-websocket-protocol"], "bearer." + token)
        client.finish()
        client = RawClient(self.gateway)
        response = client.upgrade(headers=[protocols("bearer." + token, "wspool.v1")])
        self.assertEqual(response.headers["sec-websocket-protocol"], "wspool.v1")
        self.assertEqual(self.welcome(client), "carol")
        client.finish()

    def test_without_a_token_or_with_one_in_the_url_nobody_comes_in(self):
        token = self.keys.token()
        for target, headers in [("/", []), ("/?clientId=x", []), (f"/?access_token={token}", []),
                                ("/", ["Authorization: Basic YTpi"]),
                                ("/", ["Authorization: Bearerx " + token])]:
            answer = self.refused(401, target, *headers)
            self.assertEqual(answer.headers["www-authenticate"], 'Bearer realm="wspool"')

    def test_bad_tokens_get_401_and_are_told_so(self):
        good = self.keys.token()
        bad = [
            "", "x", good + "x", good[:-6], "a.b.c",
            self.keys.token(life=-1),
            self.keys.token(aud="other"),
            self.keys.token(iss="other"),
            self.keys.token(nbf=time.time() + 60),
            self.keys.token(sub=""),
            self.keys.token(priority="urgent"),
            self.keys.token(groups={"join": "all"}),
            self.keys.token(header={"alg": "none"}),
            self.keys.token(header={"alg": "HS256", "kid": "r"}),
            self.keys.token(header={"alg": "RS256", "kid": "r"}),
            self.keys.token(header={"alg": "HS256", "kid": "x"}),
            self.keys.token(header={"alg": "HS256", "kid": "h", "crit": ["exp"]}),
            part({"alg": "none"}) + "." + good.split(".")[1] + ".",
        ]
        for token in bad:
            answer = self.refused(401, "/", bearer(token))
            self.assertEqual(answer.headers["www-authenticate"],
                             'Bearer realm="wspool", error="invalid_token"', token)

    def test_the_public_key_is_no_secret(self):
        with open(self.keys.files["rsa"], "rb") as file:
            public = file.read()
        signed = part({"alg": "HS256", "kid": "r"}) + "." + part(
            {"iss": ISSUER, "aud": "wspool", "exp": time.time() + 60})
        token = signed + "." + part(hmac.new(public, signed.encode(), hashlib.sha256).digest())
        self.assertIn(b"alg is not that of its key", self.refused(401, "/", bearer(token)).body)

    def test_more_than_one_token_is_refused(self):
        token = self.keys.token()
        for headers in ([bearer(token), bearer(token)], [bearer(token), protocols("bearer." + token)],
                        [protocols("bearer." + token, "bearer.x")]):
            self.refused(400, "/", *headers)

    def test_a_client_is_closed_when_its_token_ends(self):
        client = self.open(self.keys.token(life=1.2, sub="dora"))
        other = self.open(self.keys.token(sub="erik"))
        self.welcome(client)
        begin = time.monotonic()
        client.expect_close(4401)
        self.assertLess(time.monotonic() - begin, 3)
        self.welcome(other)
        other.check_echo()
        other.finish()

    def test_groups_that_the_token_does_not_name_are_forbidden(self):
        token = self.keys.token(groups={"join": ["news", "room-*"], "publish": ["room-*"]})
        client = self.open(token)
        self.welcome(client)

        def code(kind, group):
            payload = ',"payload":1' if kind == "broadcast" else ""
            answer = json.loads(client.request(
                f'{{"type":"{kind}","group":"{group}","id":7{payload}}}'))
            return answer.get("code", answer["type"])

        self.assertEqual(code("join", "news"), "ack")
        self.assertEqual(code("join", "room-1"), "ack")
        self.assertEqual(code("join", "newsroom"), "forbidden")
        self.assertEqual(code("join", "Room-1"), "forbidden")
        self.assertEqual(code("broadcast", "room-2"), "ack")
        self.assertEqual(code("broadcast", "news"), "forbidden")
        client.finish()

    def test_a_token_that_names_no_groups_allows_all(self):
        client = self.open(self.keys.token())
        self.welcome(client)
        self.assertIn('"ack"', client.request('{"type":"join","group":"anything","id":1}'))
        client.finish()

    def test_a_rate_class_has_the_rates_of_its_name(self):
        times = []
        for claims in ({"rate_class": "slow"}, {"rate_class": "unheard of"}, {}):
            client = self.open(self.keys.token(**claims))
            self.welcome(client)
            begin = time.monotonic()
            client.send(frame(TEXT, '{"type":"ping"}') * 4)
            for _ in range(4):
                client.read_text()
            times.append(time.monotonic() - begin)
            client.finish()
        # Two at once, and one in each second.
        self.assertGreater(times[0], 0.9)
        self.assertLess(max(times[1:]), 0.9)

    def test_healthz_needs_no_token(self):
        client = RawClient(self.gateway)
        client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(client.read_response().status, 200)
        client.sock.close()

    def test_pages_of_the_same_host_may_connect_and_others_not(self):
        token = self.keys.token()
        for origin in ("http://gateway.test", "https://GATEWAY.test"):
            client = RawClient.open(self.gateway, headers=[bearer(token), "Origin: " + origin])
            client.finish()
        for origin in ("null", "http://gateway.test:81", "http://gateway.test.evil", "http://evil",
                       "http://gateway.test@evil", "http://xgateway.test", ""):
            self.refused(403, "/", bearer(token), "Origin: " + origin)
        self.refused(400, "/", bearer(token), "Origin: http://gateway.test", "Origin: http://evil")

    def test_tokens_are_never_logged(self):
        marker = self.keys.token(sub="never-logged")
        self.open(marker).finish()
        self.refused(401, "/", bearer(marker + "AAAA"))
        for line in self.gateway.log.all():
            self.assertNotIn(marker.split(".")[1][:20], line)
            self.assertNotIn(SECRET, line)


class QueryAndOrigins(Identity):
    extra = {"auth.query_token": True, "auth.origins": Toml('["https://app.example"]'),
             "server.echo": True}

    def test_a_token_may_stand_in_the_url(self):
        client = RawClient(self.gateway)
        client.upgrade("/?access_token=" + self.keys.token("ES256", sub="fred"), [protocols("wspool.v1")])
        self.assertEqual(self.welcome(client), "fred")
        client.finish()

    def test_but_not_beside_another(self):
        token = self.keys.token()
        self.refused(400, "/?access_token=" + token, bearer(token))

    def test_only_listed_origins_may_connect(self):
        token = self.keys.token()
        RawClient.open(self.gateway, headers=[bearer(token), "Origin: https://app.example"]).finish()
        for origin in ("http://app.example", "https://app.example:444", "http://gateway.test"):
            self.refused(403, "/", bearer(token), "Origin: " + origin)

    def test_the_echo_endpoint_needs_a_token_too(self):
        self.refused(401, "/echo")
        client = RawClient.open(self.gateway, "/echo", [bearer(self.keys.token())])
        self.assertEqual(client.request("raw"), "raw")
        client.finish()


class Minted(Identity):
    """What `wspool token` makes is taken."""

    def mint(self, *options, source=("--issuer", ISSUER, "--audience", "wspool")):
        done = subprocess.run([BINARY, "token", *source, *options],
                              stdout=subprocess.PIPE, check=True, env=environment(), timeout=30)
        return done.stdout.decode().strip()

    def test_with_a_secret(self):
        client = self.open(self.mint("--id", "gina", "--secret", SECRET, "--key-id", "h", "--join", "a*"))
        self.assertEqual(self.welcome(client), "gina")
        self.assertIn("forbidden", client.request('{"type":"join","group":"b","id":1}'))
        client.finish()

    def test_with_the_configuration_of_the_gateway(self):
        token = self.mint("--id", "hans", source=("--config", self.gateway.config_path))
        client = self.open(token)
        self.assertEqual(self.welcome(client), "hans")
        client.finish()

    def test_with_private_keys(self):
        for name, key, kid in (("rsa", self.keys.rsa, "r"), ("ec", self.keys.ec, "e")):
            with tempfile.NamedTemporaryFile() as file:
                file.write(key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption()))
                file.flush()
                client = self.open(self.mint("--id", name, "--key", file.name, "--key-id", kid))
            self.assertEqual(self.welcome(client), name)
            client.finish()


PAGE = b"""<!doctype html><script>
addEventListener('load', async () => {
  while (!window.report) await new Promise((resolve) => setTimeout(resolve, 10));
  const [url, token] = location.hash.slice(1).split(',');
  const socket = new WebSocket(url, ['wspool.v1', 'bearer.' + token]);
  let isOpen = false;
  socket.onopen = () => { isOpen = true; window.report(socket.protocol); };
  socket.onmessage = ({ data }) => window.report(JSON.parse(data));
  socket.onclose = ({ code }) => window.report({ isOpen, code });
});
</script>"""


class PageHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_):
        pass


class Browser(Identity):
    @classmethod
    def setUpClass(cls):
        cls.sites = [cls.serve(), cls.serve()]
        cls.extra = {"auth.origins": Toml(f'["{cls.sites[0]}"]')}
        super().setUpClass()

    @classmethod
    def serve(cls):
        web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), PageHandler)
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        cls.addClassCleanup(thread.join)
        cls.addClassCleanup(web.server_close)
        cls.addClassCleanup(web.shutdown)
        return f"http://127.0.0.1:{web.server_address[1]}"

    def test_a_page_sends_its_token_as_a_subprotocol_and_only_from_a_listed_origin(self):
        peer = Peer("chromium_client.mjs")
        self.addCleanup(peer.stop)
        token = self.keys.token("RS256", life=2, sub="page")
        target = f"/#{self.gateway.url()},{token}"
        refused = peer.tab(self.sites[1] + target)
        self.assertEqual(refused.next(), {"isOpen": False, "code": 1006})
        tab = peer.tab(self.sites[0] + f"/#{self.gateway.url()},{self.keys.token(life=2, sub='page')}")
        self.assertEqual(tab.next(), "wspool.v1")
        self.assertEqual(tab.next(), {"type": "welcome", "clientId": "page"})
        self.assertEqual(tab.next(), {"isOpen": True, "code": 4401})


if __name__ == "__main__":
    unittest.main()
