"""Recordings over connections that are cut, to a server that is killed, have the bits of one without faults."""

from __future__ import annotations

import asyncio
import os
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import waywiser as ww
from servers import Proxy, Server, needs_program
from test_recorder import Walk, part, walk

pytestmark = needs_program

#: The number of faults during one recording, and the points that are sent before each.
FAULTS, POINTS = 12, 4_000
OPTIONS: dict[str, Any] = {"preset": "walk", "on_invalid": "skip", "max_gap_time": 3600}


class Chaos:
    """Causes faults, and makes the points."""

    def __init__(self, folder: Path) -> None:
        seed = int(os.environ.get("WAYWISER_SEED", int.from_bytes(os.urandom(4), "little")))
        print(f"WAYWISER_SEED={seed}")
        self.random = random.Random(seed)
        self.points = walk(FAULTS * POINTS, seed)
        self.points["lat"][np.random.default_rng(seed).integers(0, FAULTS * POINTS, 20)] = np.nan
        self.server = Server(folder, store=f"redb:{folder / 'store'}")
        self.proxy = Proxy(self.server, seed, 400_000)
        self.kills = 0

    def fault(self) -> None:
        time.sleep(self.random.random() * 0.2)
        match self.random.randrange(3):
            case 0:
                self.server.kill()
                self.kills += 1
                time.sleep(self.random.random() * 0.2)
                self.server.start()
            case 1:
                self.proxy.cut_all()
            case _:
                pass  # The proxy cuts connections by itself.

    def slices(self) -> list[Walk]:
        """Return the points in parts: arrays of random lengths, and single points."""
        slices, at = [], 0
        while at < len(self.points["lon"]):
            end = at + self.random.choice([1, 1, 10, 1000, POINTS])
            slices.append(part(self.points, at, end))
            at = end
        return slices

    def check(self, summary: ww.Summary | None) -> None:
        assert summary == ww.measure(**self.points, **OPTIONS)
        # One uninterrupted recording, without the proxy.
        with ww.Recorder(self.server.url, "whole", **OPTIONS) as recorder:
            recorder.send(**self.points)
        assert recorder.summary == summary
        assert self.proxy.cut_count + self.kills > 0
        print("cuts", self.proxy.cut_count, "kills", self.kills)

    def __enter__(self) -> Chaos:
        return self

    def __exit__(self, *_: object) -> None:
        self.proxy.__exit__()
        self.server.__exit__()


def single(points: Walk) -> dict[str, Any]:
    return {key: values[0] for key, values in points.items()}


@pytest.mark.parametrize("round_", range(2))
def test_a_recorder_survives(tmp_path: Path, round_: int) -> None:
    with Chaos(tmp_path) as chaos:
        due, restarts = 0, 0
        slices = chaos.slices()
        summary = None
        while summary is None:
            # A program that was ended sends the same points from the first one on.
            recorder = ww.Recorder(chaos.proxy.url, "a", retry_for=120, buffer_points=5000, **OPTIONS)
            try:
                with recorder:
                    for points in slices:
                        recorder.send(**(single(points) if len(points["lon"]) == 1 else points))
                        if recorder.sent_points > (due + 1) * POINTS:
                            due += 1
                            chaos.fault()
                            if chaos.random.random() < 0.3:
                                recorder.flush()
                                assert recorder.committed_points >= recorder.sent_points
                            if restarts < 2 and chaos.random.random() < 0.3:
                                restarts += 1
                                raise InterruptedError
                summary = recorder.summary
            except InterruptedError:
                assert recorder.summary is None
        chaos.check(summary)


@pytest.mark.parametrize("round_", range(2))
def test_async_recorders_survive(tmp_path: Path, round_: int) -> None:
    async def record(chaos: Chaos, index: int) -> ww.Summary | None:
        async with ww.AsyncRecorder(
            chaos.proxy.url, f"a-{index}", retry_for=120, buffer_points=5000, **OPTIONS
        ) as recorder:
            for points in chaos.slices():
                # A task that is cancelled at random loses no point that was accepted.
                task = asyncio.ensure_future(recorder.send(**points))
                if chaos.random.random() < 0.2:
                    await asyncio.sleep(0)
                    task.cancel()
                start = recorder.sent_points
                await asyncio.wait([task])
                if task.cancelled():
                    end = start_of(chaos.points, points) + len(points["lon"])
                    await recorder.send(**part(chaos.points, recorder.sent_points, end))
                else:
                    task.result()
                assert recorder.sent_points >= start
                if chaos.random.random() < 0.02:
                    await recorder.flush()
        return recorder.summary

    async def run(chaos: Chaos) -> None:
        tasks = [asyncio.ensure_future(record(chaos, index)) for index in range(3)]
        for _ in range(FAULTS):
            await asyncio.to_thread(chaos.fault)
        summaries = await asyncio.gather(*tasks)
        assert summaries[0] == summaries[1] == summaries[2]
        await asyncio.to_thread(chaos.check, summaries[0])

    with Chaos(tmp_path) as chaos:
        asyncio.run(run(chaos))


def start_of(whole: Walk, points: Walk) -> int:
    """Return the index of the first point of a part."""
    return int(np.flatnonzero(whole["time"] == points["time"][0])[0])
