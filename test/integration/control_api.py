"""The control API of a gateway under test, as an operator asks it."""

import http.client
import json
import re


class ControlApi:
    def __init__(self, gateway, token=None):
        host, port = gateway.ready["control"].rsplit(":", 1)
        self._address = host.strip("[]"), int(port)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, path, method="GET", body=None, headers=None):
        """(status, headers, text); a header None is left out."""
        connection = http.client.HTTPConnection(*self._address, timeout=10)
        try:
            every = {**self._headers, **({"Content-Type": "application/json"} if body else {}), **(headers or {})}
            connection.request(method, path, body, {name: value for name, value in every.items() if value})
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode()
        finally:
            connection.close()

    def begin(self, path):
        """Asks, and waits for no answer: the connection, whose getresponse() does."""
        connection = http.client.HTTPConnection(*self._address, timeout=10)
        connection.request("GET", path, headers=self._headers)
        return connection

    def status(self, path):
        return self.ask(path)[0]

    def result(self, path):
        status, headers, text = self.ask(path)
        assert status == 200, (status, text)
        assert headers["content-type"] == "application/json", headers
        return json.loads(text)["result"]

    def post(self, name, body=None):
        """(status, what is in the answer): POST below /api/, where `body` is a value or JSON text."""
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        status, headers, answer = self.ask(f"/api/{name}", "POST", text)
        assert headers["content-type"] == "application/json", headers
        answer = json.loads(answer)
        return status, answer["result"] if status == 200 else answer["error"]

    def error(self, path):
        """(status, code)"""
        status, _, text = self.ask(path)
        return status, json.loads(text)["error"]["code"]

    def workers(self):
        return self.result("/api/workers")["workers"]

    def control(self):
        return self.result("/api/workers")["control"]

    def stats(self):
        return self.result("/api/stats")

    def connections(self):
        """How many each worker holds now."""
        return [worker["connections"]["current"] for worker in self.workers()]

    def metrics(self):
        """Values by name with labels, as they stand in the text."""
        status, _, text = self.ask("/metrics")
        assert status == 200, (status, text)
        found = re.findall(r"^(wspool_\w+(?:\{[^}]*\})?) ([0-9.e+-]+)$", text, re.M)
        return {name: float(value) for name, value in found}
