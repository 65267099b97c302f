"""Clients that behave like phone apps, against a real server with a proxy in between that loses answers.

usage: phones.py PROGRAM

Each app has a queue, sends its oldest fixes first, and removes them only after an answer of success, as its documents
describe. The proxy forwards every request, and drops a part of the answers. At the end, the length of each recording must be
the one that `waywiser measure` prints for the same fixes in a file. Only the standard library is needed.
"""

import base64
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FIXES = 400
START_S = 1716238800
# The options of a recording of a phone.
OPTIONS = ["--preset", "phone", "--reorder", "64", "--by", "day", "--timezone", "Europe/Ljubljana"]


def fixes(rng):
    """A day with rides and stops, over a midnight. Some fixes are inaccurate, and some are far away."""
    x, y, seconds, moves = 13.8, 46.3, START_S, True
    track = []
    for _ in range(FIXES):
        seconds += rng.randint(2, 60)
        moves ^= rng.random() < 0.05
        if moves:
            x += rng.uniform(0, 3e-4)
            y += rng.uniform(0, 2e-4)
        track.append({
            "time": seconds,
            "lon": round(x + rng.gauss(0, 2e-5) + (30 if rng.random() < 0.02 else 0), 7),
            "lat": round(y + rng.gauss(0, 2e-5), 7),
            "accuracy": 900 if rng.random() < 0.05 else rng.randint(1, 60),
        })
    return track


class LossyProxy:
    """Forwards connections, and closes a part of them before the answer."""

    def __init__(self, port, rng):
        self.server, self.rng, self.lost = port, rng, 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.forward, args=(client,), daemon=True).start()

    def forward(self, client):
        with self.lock:
            loses = self.rng.random() < 0.4
        with client, socket.create_connection(("127.0.0.1", self.server)) as server:
            copying = threading.Thread(target=self.copy, args=(client, server), daemon=True)
            copying.start()
            try:
                answer = server.recv(65536)
                if loses:
                    # The server has answered, so the fixes are durable. The app does not know.
                    with self.lock:
                        self.lost += 1
                    answer = b""
                while answer:
                    client.sendall(answer)
                    answer = server.recv(65536)
            except OSError:
                pass
            for stream in (client, server):
                # The other thread waits for bytes, so that closing alone would not end the connection.
                try:
                    stream.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            copying.join()

    @staticmethod
    def copy(client, server):
        try:
            while data := client.recv(65536):
                server.sendall(data)
        except OSError:
            pass


class App:
    """An app: its address, its token, and how it sends a fix."""

    def __init__(self, port, token):
        self.port, self.token, self.attempts = port, token, 0

    def request(self, method, path, body=None, headers=None):
        """Returns the status and the body of an answer, or None without an answer."""
        self.attempts += 1
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Connection": "close", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def until(self, is_success, *request):
        while True:
            answer = self.request(*request)
            if answer is not None and is_success(*answer):
                return
            assert answer is None or answer[0] in (429, 503), f"{type(self).__name__}: {answer}"


class OwnTracks(App):
    """One message at a time, Basic credentials, the headers X-Limit-U and X-Limit-D; any status of 200 to 299."""

    device = "jane/own"

    def run(self, track):
        credentials = base64.b64encode(f"jane:{self.token}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "X-Limit-U": "jane", "X-Limit-D": "own",
                   "Content-Type": "application/json"}
        for fix in track:
            message = {"_type": "location", "lat": fix["lat"], "lon": fix["lon"], "tst": fix["time"],
                       "acc": fix["accuracy"], "vel": 5, "tid": "JA", "t": "u"}
            self.until(lambda status, body: 200 <= status < 300 and json.loads(body) == [],
                       "POST", "/ingest/owntracks", json.dumps(message), headers)
        # Other messages and an empty body are answered like fixes.
        for body in ('{"_type":"status"}', ""):
            self.until(lambda status, body: status == 200, "POST", "/ingest/owntracks", body, headers)


class OldTraccarClient(App):
    """Up to version 8: the parameters of a query by POST, one at a time; the status 200."""

    device = "old-traccar"

    def run(self, track):
        for fix in track:
            query = {"id": self.device, "timestamp": fix["time"], "lat": fix["lat"], "lon": fix["lon"], "speed": 2.5,
                     "bearing": 0.0, "altitude": 300.0, "accuracy": float(fix["accuracy"]), "batt": 80.0}
            path = f"/ingest/osmand/{self.token}?{urllib.parse.urlencode(query)}"
            self.until(lambda status, body: status == 200, "POST", path)


class OsmAnd(App):
    """The parameters of a query by GET, with a time in milliseconds; the status 200."""

    device = "osm and"

    def run(self, track):
        for fix in track:
            query = {"id": self.device, "lat": fix["lat"], "lon": fix["lon"], "timestamp": fix["time"] * 1000,
                     "accuracy": fix["accuracy"], "altitude": 300, "speed": 2}
            path = f"/ingest/osmand/{self.token}?{urllib.parse.urlencode(query)}"
            self.until(lambda status, body: status == 200, "GET", path)


class NewTraccarClient(App):
    """From version 9: a location in JSON, up to ten requests at a time; any status of 200 to 299."""

    device = "48241179"

    def send(self, fix):
        when = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(fix["time"]))
        coords = {"latitude": fix["lat"], "longitude": fix["lon"], "accuracy": fix["accuracy"], "speed": 1, "altitude": 300}
        message = {"location": {"timestamp": when, "coords": coords, "is_moving": True}, "device_id": self.device}
        self.until(lambda status, body: 200 <= status < 300, "POST", f"/ingest/traccar/{self.token}",
                   json.dumps(message), {"Content-Type": "application/json"})

    def run(self, track):
        for start in range(0, len(track), 10):
            with ThreadPoolExecutor(10) as pool:
                list(pool.map(self.send, track[start:start + 10]))


class Overland(App):
    """Batches with a Bearer token; only the answer {"result": "ok"} is success."""

    device = "overland"

    def run(self, track):
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        for start in range(0, len(track), 50):
            features = [{
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": [fix["lon"], fix["lat"]]},
                "properties": {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(fix["time"])),
                               "horizontal_accuracy": fix["accuracy"], "vertical_accuracy": -1, "altitude": 300,
                               "motion": ["driving"], "device_id": self.device},
            } for fix in track[start:start + 50]]
            self.until(lambda status, body: json.loads(body).get("result") == "ok", "POST", "/ingest/overland",
                       json.dumps({"locations": features}), headers)


class TraccarServer(App):
    """A position and its device in JSON, repeated for any status but 200 to 299."""

    device = "8654321"

    def run(self, track):
        for fix in track:
            when = time.strftime("%Y-%m-%dT%H:%M:%S.000+00:00", time.gmtime(fix["time"]))
            position = {"fixTime": when, "deviceTime": when, "latitude": fix["lat"], "longitude": fix["lon"],
                        "accuracy": fix["accuracy"], "altitude": 300, "valid": True, "outdated": False, "speed": 3}
            self.until(lambda status, body: 200 <= status < 300, "POST", f"/ingest/forward/{self.token}",
                       json.dumps({"position": position, "device": {"uniqueId": self.device}}))


def recording_id(device):
    return re.sub(rb"[^A-Za-z0-9._-]", lambda found: b"~%02X" % found[0][0], device.encode()).decode()


def measured(program, track, folder):
    """What `waywiser measure` prints for the fixes in a file."""
    file = folder / "track.csv"
    rows = [f"{fix['lon']},{fix['lat']},{fix['time']},{fix['accuracy']},300" for fix in track]
    file.write_text("lon,lat,time,accuracy,elevation\n" + "\n".join(rows) + "\n")
    command = [program, "measure", "--json", *OPTIONS, str(file)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(printed.splitlines()[0])


def main():
    program = sys.argv[1]
    seed = int(os.environ.get("PHONES_SEED") or random.randrange(1 << 32))
    print(f"phones: PHONES_SEED={seed}")
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        make = [program, "token", "new", "--name", "phones", "--append", str(folder / "tokens.toml")]
        token = subprocess.run(make, check=True, capture_output=True, text=True).stdout.strip()
        with open(folder / "log", "wb") as log:
            serve = [program, "serve", "--data-dir", str(folder / "data"), "--listen", "127.0.0.1:0", "--http", "0",
                     "--ingest-time-zone", "Europe/Ljubljana", "--tokens", str(folder / "tokens.toml")]
            server = subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert server.stdout.readline().startswith("listening on"), (folder / "log").read_text()
            found = None
            while not found:
                assert server.poll() is None, (folder / "log").read_text()
                found = re.search(r"listening for HTTP.*address=127\.0\.0\.1:(\d+)", (folder / "log").read_text())
                time.sleep(0.02)
            port = int(found[1])
            proxy = LossyProxy(port, rng)
            for kind in (OwnTracks, OldTraccarClient, OsmAnd, NewTraccarClient, Overland, TraccarServer):
                track = fixes(rng)
                app = kind(proxy.port, token)
                app.run(track)
                headers = {"Authorization": f"Bearer {token}"}
                status, body = App(port, token).request("GET", f"/api/paths/{recording_id(kind.device)}", None, headers)
                assert status == 200, body
                summary = json.loads(body)["summary"]
                expected = measured(program, track, folder)
                assert summary["length_m"] == expected["length_m"], (kind, summary["length_m"], expected["length_m"])
                days = [day["length_m"] for day in summary["windows"]]
                assert days == [day["length_m"] for day in expected["windows"]] and len(days) == 2, (days, expected)
                print(f"{kind.__name__}: {len(track)} fixes, {app.attempts} requests, {expected['length_m']:.1f} m")
            assert proxy.lost > 100, proxy.lost
            assert App(port, "x").request("POST", "/ingest/owntracks/wrong", "{}")[0] == 401
            print(f"{proxy.lost} answers were lost")
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()
        log = (folder / "log").read_text()
        assert token not in log, "the log has the token"
        assert "panicked" not in log, log


main()
