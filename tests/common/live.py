"""A recording whose points a test sends when it wants."""

import queue

from waywiser.v1 import path_pb2 as pb


class Live:
    """An open stream of a recording. `point` returns the point with a number."""

    def __init__(self, client, name, point, **fields):
        self.point = point
        self.requests = queue.SimpleQueue()
        self.requests.put(pb.RecordPathRequest(name=name, **fields))
        self.reply = client.paths.RecordPath.future(iter(self.requests.get, None))

    def send(self, numbers, **fields):
        self.requests.put(pb.RecordPathRequest(points=[self.point(number) for number in numbers], **fields))

    def close(self):
        self.requests.put(None)
