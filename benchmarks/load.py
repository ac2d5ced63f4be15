"""Load for a server: requests over kept connections, as many at a time as asked for, or at a fixed rate."""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
CLOSES = re.compile(rb"connection: *close", re.IGNORECASE)
WARM = 0.2  # share of the time that is not counted
BOUNDARY = "----------linnaea"
Address = tuple[str, int]


@dataclass
class Load:
    """What came of it: for each request that was sent after the start its status and its seconds; 0 is no answer."""

    seconds: float
    statuses: list[int] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)

    def add(self, status: int, sent: float, latency: float) -> None:
        """One more."""
        self.statuses.append(status)
        self.latencies.append(latency)
        self.sent.append(sent)

    def rate(self, status: int = 200) -> float:
        """Answers of this status per second, of requests whose answer came within the counted time."""
        done = np.array(self.sent) + np.array(self.latencies)
        counted = (np.array(self.statuses) == status) & (done >= WARM * self.seconds) & (done <= self.seconds)
        return float(counted.sum() / (self.seconds * (1 - WARM)))

    def quantile(self, share: float, status: int = 200) -> float:
        """The seconds that this share of answers of a status took at most; NaN where there was none."""
        taken = np.array(self.latencies)[np.array(self.statuses) == status]
        return float(np.quantile(taken, share)) if len(taken) else float("nan")

    def count(self, status: int) -> int:
        """How many had this status."""
        return self.statuses.count(status)


class Client(asyncio.Protocol):
    """One connection, and the one request that is on its way over it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._got = bytearray()
        self._done: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._settle(0)

    def data_received(self, data: bytes) -> None:
        self._got += data
        head = self._got.find(b"\r\n\r\n")
        if head < 0:
            return
        length = LENGTH.search(self._got, 0, head)
        if length is None or len(self._got) < head + 4 + int(length[1]):
            return
        status, closes = int(self._got[9:12]), CLOSES.search(self._got, 0, head)
        self._got.clear()
        if closes and self._transport is not None:
            self._transport.close()
            self._transport = None
        self._settle(status)

    def _settle(self, status: int) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(status)

    async def ask(self, address: Address, request: bytes) -> int:
        """Send it and wait; the status, 0 where the connection broke."""
        loop = asyncio.get_running_loop()
        if self._transport is None:
            try:
                await loop.create_connection(lambda: self, *address)
            except OSError:
                return 0
        self._got.clear()
        self._done = loop.create_future()
        assert self._transport is not None
        self._transport.write(request)
        return await self._done

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def form(content: bytes, field_name: str = "file", path: str = "/predict") -> bytes:
    """A request with a JPEG as the file of a form."""
    body = (
        (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field_name}"; filename="photo.jpg"\r\n'
            "Content-Type: image/jpeg\r\n\r\n"
        ).encode()
        + content
        + f"\r\n--{BOUNDARY}--\r\n".encode()
    )
    return posted(body, f"multipart/form-data; boundary={BOUNDARY}", path)


def posted(body: bytes, kind: str, path: str = "/predict") -> bytes:
    """A request with a body."""
    head = f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def at_once(address: Address, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    """Each connection sends its next request when the last one was answered."""

    async def client(load: Load, number: int, start: float) -> None:
        connection, place = Client(), number
        while (sent := time.perf_counter() - start) < seconds:
            status = await connection.ask(address, requests[place % len(requests)])
            load.add(status, sent, time.perf_counter() - start - sent)
            place += connections
            if status == 0:
                await asyncio.sleep(0.01)
        connection.close()

    async def all_clients() -> Load:
        load, start = Load(seconds), time.perf_counter()
        await asyncio.gather(*(client(load, number, start) for number in range(connections)))
        return load

    return asyncio.run(all_clients())


def at_rate(address: Address, requests: Sequence[bytes], rate: float, seconds: float, connections: int) -> Load:
    """So many requests per second, whatever is answered; one for which no connection is free counts as unanswered."""

    async def one(load: Load, free: list[Client], number: int, sent: float, start: float) -> None:
        connection = free.pop()
        status = await connection.ask(address, requests[number % len(requests)])
        load.add(status, sent, time.perf_counter() - start - sent)
        free.append(connection)

    async def all_requests() -> Load:
        load, free = Load(seconds), [Client() for _ in range(connections)]
        start, tasks = time.perf_counter(), set[asyncio.Task[None]]()
        for number in range(round(rate * seconds)):
            wait = number / rate - (time.perf_counter() - start)
            if wait > 0:
                await asyncio.sleep(wait)
            sent = time.perf_counter() - start
            if not free:
                load.add(0, sent, 0.0)
                continue
            task = asyncio.create_task(one(load, free, number, sent, start))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if tasks:
            await asyncio.wait(tasks, timeout=60)
        for connection in free:
            connection.close()
        return load

    return asyncio.run(all_requests())
