"""The HTTP listener of two servers with one database: what the page shows, and what phones send."""

import http.client
import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from appends import failures, guarded, point, totals
from clients import Client, Live
from programs import Server, free_port, wait_until
from waywiser.v1 import path_pb2 as pb

FIXES = 1_500
BATCH = 10
# The fixes of the requests that are sent at the same time. The recording puts the last 64 in order.
ROUND = 50


class WebServer(Server):
    """A server with the HTTP listener."""

    def __init__(self, cluster, name):
        self.http_port = free_port()
        self.postgres, self.name = cluster.postgres, name
        store = ["--store", self.postgres.url(options=f"?application_name={name}"), *cluster.password_arguments]
        super().__init__(cluster.folder, name, [*store, "--http", str(self.http_port)])

    def connections(self):
        """Returns the number of connections to the database. One of a server that was killed ends after its transaction."""
        query = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{self.name}'"
        [count] = self.postgres.sql(query)
        return int(count)

    def request(self, method, path, body=None):
        """Returns the status of an answer and its JSON, or (0, None) without an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=60)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()

    def get(self, path):
        status, answer = self.request("GET", path)
        assert status == 200, (path, status, answer)
        return answer

    def counts(self, path):
        """Returns the number of durable points of a recording, or 0 if there is none."""
        status, answer = self.request("GET", f"/api/paths/{path}")
        return answer["committed_points"] if status == 200 else 0


class Events:
    """The events of a recording, as the page follows them."""

    def __init__(self, server, path):
        self.received = []
        self.connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=120)
        self.connection.request("GET", f"/api/paths/{path}/events?allow_missing=true&recent_points=true")
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.status
        self.thread = threading.Thread(target=guarded(self.read), daemon=True)
        self.thread.start()

    def read(self):
        """Reads to the end of the stream."""
        event = None
        for line in self.answer:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                event = value
            elif name == "data":
                self.received.append((event, json.loads(value)))

    def last_count(self):
        """Returns the number of points of the last state."""
        states = [data for event, data in self.received if event == "path"]
        return states[-1]["committed_points"] if states else 0

    def end(self):
        """Waits for the end of the stream. Returns the names of the events, and the states."""
        self.thread.join()
        self.connection.close()
        assert not failures, failures
        return [event for event, _ in self.received], [data for event, data in self.received if event == "path"]


def listed(server, prefix):
    """Returns the names and numbers of points in the list of the page."""
    paths = server.get(f"/api/paths?page_size=50&view=BASIC&prefix={prefix}")["paths"]
    return {path["name"]: path["committed_points"] for path in paths}


def the_page_of_each_server_shows_the_recordings_of_all(cluster):
    """Records at one server, and reads the list, the totals and the events of another one. Kills the first one."""
    one, two = servers = [WebServer(cluster, f"page-{number}") for number in (1, 2)]
    for server in servers:
        server.run()
        server.wait_until_ready()
    updates = another_server_is_followed(one, two)
    report = phones_use_both_servers(one, two)
    the_last_commit_is_shown_after_a_kill(one, two)
    for server in servers:
        assert server.stop() == 0
    return f"{updates} updates, {report}"


def another_server_is_followed(one, two):
    path, name = "page-followed", "paths/page-followed"
    events = Events(two, path)
    live = Live(Client(one.address), name)
    for start in range(0, 500, 100):
        live.send(range(start, start + 100))
        wait_until(lambda: events.last_count() == start + 100, "an event of the other server")
        assert listed(two, "page-") == {name: start + 100}
        # Times are those of the database, so that both servers have the same ones.
        assert two.get(f"/api/paths/{path}") == one.get(f"/api/paths/{path}")
    live.send([], finish_write=True)
    live.close()
    reply = live.reply.result(timeout=60)
    names, states = events.end()
    assert names[-1] == "end" and set(names[:-1]) == {"path"}, names
    counts = [state["committed_points"] for state in states]
    assert counts == sorted(counts) and counts[-1] == 500, counts
    final = two.get(f"/api/paths/{path}")
    # The points are in the memory of the server that has written them.
    assert states[-1].pop("recent_points") == [], states[-1]
    assert final == states[-1] and final["complete"], (final, states[-1])
    assert final["summary"]["length_m"] == reply.summary.length_m > 0, final
    return len(states)


def phones_use_both_servers(one, two):
    """Sends batches to both servers at the same time, in any order and repeatedly, while the other one has the recording."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    choices = random.Random(seed)
    again = 0
    lock = threading.Lock()

    def send(batch, order):
        nonlocal again
        locations = [feature(number) for number in batch]
        for server in order:
            status, answer = server.request("POST", "/ingest/overland", json.dumps({"locations": locations}))
            if status == 200:
                assert answer == {"result": "ok"}, answer
                return
            # 409: the other server has taken the recording. An app repeats its batch after each answer that is not a success.
            assert status in (0, 409, 429, 503), (status, answer)
            with lock:
                again += 1
            time.sleep(0.05)
        raise AssertionError("no server has stored the batch")

    events = Events(two, "page-phone")
    for start in range(0, FIXES, ROUND):
        numbers = list(range(start, start + ROUND))
        choices.shuffle(numbers)
        batches = [numbers[at : at + BATCH] for at in range(0, ROUND, BATCH)]
        batches += choices.sample(batches, 2)
        with ThreadPoolExecutor(len(batches)) as pool:
            list(pool.map(send, batches, [choices.choices([one, two], k=200) for _ in batches]))
    windows = pb.WindowOptions(unit=pb.WINDOW_UNIT_DAY, keep_latest=True, max_windows=400)
    options = pb.PathOptions(preset=pb.PRESET_PHONE, reorder_count=64, drop_duplicates=True, windows=windows)
    pieces = [
        pb.RecordPathRequest(points=[point(number) for number in range(start, start + 500)])
        for start in range(0, FIXES, 500)
    ]
    pieces[0].options.CopyFrom(options)
    expected = Client(one.address).paths.RecordPath(iter(pieces), timeout=60).summary
    assert expected.length_m > 1000, expected
    paths = [Client(server.address).get("paths/page-phone") for server in (one, two)]
    for path in paths:
        assert totals(path.summary) == totals(expected), f"{path.summary} instead of {expected}"
    states = [server.get("/api/paths/page-phone") for server in (one, two)]
    assert states[0] == states[1] and states[0]["summary"]["length_m"] == expected.length_m, states
    received = states[0]["committed_points"]
    wait_until(lambda: events.last_count() == received, "the last state of the other server")
    # The recording of a phone has no end, but it can be deleted.
    assert one.request("DELETE", "/api/paths/page-phone") == (204, None)
    names, _ = events.end()
    assert names[-1] == "error" and events.received[-1][1]["error"]["reason"] == "PATH_NOT_FOUND", events.received[-1]
    return f"{received} fixes of a phone, {again} requests repeated, same bits"


def feature(number):
    """Returns a fix as Overland sends it."""
    fix = point(number)
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [fix.x, fix.y]},
        "properties": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(fix.time.seconds)),
            "horizontal_accuracy": fix.accuracy_m,
            "device_id": "page-phone",
        },
    }


def the_last_commit_is_shown_after_a_kill(one, two):
    path, name = "page-killed", "paths/page-killed"
    live = Live(Client(one.address), name)
    live.send(range(100))
    wait_until(lambda: two.counts(path) == 100, "a commit")
    # These may be durable or not when the server is killed.
    for start in range(100, 4_000, 100):
        live.send(range(start, start + 100))
    assert one.connections() > 0
    one.kill()
    live.close()
    assert live.reply.exception(timeout=60) is not None
    # A commit that has reached the database may still be under way.
    wait_until(lambda: one.connections() == 0, "the end of the connections of the killed server")
    client = Client(two.address)
    state = two.get(f"/api/paths/{path}")
    count = state["committed_points"]
    assert 100 <= count <= 4_000 and not state["complete"], state
    assert state["summary"]["length_m"] == client.measure(range(count)).length_m, state
    assert listed(two, "page-killed") == {name: count}
    # The recording continues at the other server, whose page follows it.
    events = Events(two, path)
    rest = Live(client, name, write_offset=count)
    for start in range(count, 4_500, 500):
        rest.send(range(start, min(start + 500, 4_500)))
    rest.send([], finish_write=True)
    rest.close()
    reply = rest.reply.result(timeout=60)
    names, states = events.end()
    assert names[-1] == "end" and states[-1]["committed_points"] == 4_500, names
    assert states[-1]["summary"]["length_m"] == client.measure(range(4_500)).length_m == reply.summary.length_m
    one.run()
    one.wait_until_ready()
    assert one.get(f"/api/paths/{path}") == two.get(f"/api/paths/{path}")
