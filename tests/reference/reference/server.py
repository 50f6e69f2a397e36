"""Starts the binary under test, and asks it."""

import http.client
import json
import os
import re
import signal
import subprocess
import time
from decimal import Decimal
from urllib.parse import urlencode


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status, problem):
        super().__init__(f"{status} {problem}")
        self.status, self.problem = status, problem


class Server:
    """A server over a data folder, on a free loopback port, until it is stopped."""

    def __init__(self, binary, folder, log):
        self._out = open(log, "w+")
        self._process = subprocess.Popen(
            [binary, "serve", "--data", folder, "--listen", "127.0.0.1:0"],
            cwd=os.path.dirname(log), stdout=self._out, stderr=subprocess.STDOUT)
        self._connection = None
        deadline = time.monotonic() + 60
        while True:
            with open(log) as out:
                address = re.search(r"address=\S*?127\.0\.0\.1:(\d+)", out.read())
            if address:
                break
            if self._process.poll() is not None or time.monotonic() > deadline:
                with open(log) as out:
                    raise SystemExit(f"reference: the server does not start:\n{out.read()}")
            time.sleep(0.05)
        self.port = int(address.group(1))

    def _request(self, method, path, body=None):
        headers = {"Content-Type": "application/json"} if body is not None else {}
        data = None if body is None else json.dumps(body)
        for attempt in (1, 2):
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                self._connection.request(method, path, data, headers)
                answer = self._connection.getresponse()
                text = answer.read()
                break
            except (http.client.HTTPException, ConnectionError):
                # An idle connection may have been closed; a fresh one must work.
                self._connection.close()
                self._connection = None
                if attempt == 2:
                    raise
        parsed = json.loads(text, parse_float=Decimal) if text else None
        if answer.status >= 300:
            raise Refused(answer.status, parsed)
        return parsed

    def get(self, path, parameters=()):
        """The answer to a question."""
        return self._request("GET", f"/v1/{path}" + ("?" + urlencode(parameters) if parameters else ""))

    def send(self, method, path, body):
        """What came of a command."""
        return self._request(method, f"/v1/{path}", body)

    def events(self):
        """Every event of the log, in its order."""
        events, after = [], 0
        while True:
            page = self.get("events", {"after": after, "limit": 1000})
            if not page["events"]:
                return events
            events += page["events"]
            after = page["next"]

    def deals_behind(self, path, parameters):
        """All pages of the deals behind a number, as one answer."""
        answer = self.get(path, {**parameters, "limit": 500})
        while answer["next"] is not None:
            page = self.get(path, {**parameters, "limit": 500, "after": answer["next"]})
            answer["deals"] += page["deals"]
            answer["next"] = page["next"]
        del answer["next"]
        return answer

    def stop(self):
        """Ends it, and waits until it has."""
        if self._connection:
            self._connection.close()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)
        self._out.close()
