"""Ten thousand requests that mean no good: what of them fails the server, hangs, or stays in its memory."""

import contextlib
import io
import json
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.inference import classifier
from benchmarks.load import LENGTH, Address, form, posted
from benchmarks.table import keep
from linnaea.delivery.exporters import export

NETWORK, TO = "mobilenetv3_large_100", "onnx"
COUNT, AT_ONCE, EVERY = 10_000, 8, 100
SLOW, IN_TIME = 40, 1.0  # slow-loris connections among them, and the seconds that they are given
PATIENCE = 60.0  # seconds after which a request hangs
SIDE = 160  # of the photos that are fuzzed
BOMB = 6_900  # pixels wide and high, just within the limit of 50 megapixels
Sent = tuple[str, list[bytes]]  # the kind, and the parts, between which a slow client waits


def main() -> None:
    """All kinds mixed, some at a time, against a server in a process of its own."""
    random = Random(0)
    with tempfile.TemporaryDirectory() as place:
        folder = export(classifier(NETWORK), TO, Path(place) / TO, photos(Path(place))).folder
        with served(folder) as (process, address):
            statuses, memory = assault(process, address, list(islice(requests(random), COUNT)))
            alive = ask(address, ("photo", [form(photo(random, "JPEG"))]))
    kinds = sorted({kind for kind, _ in statuses})
    rows: list[dict[str, Any]] = []
    for kind in kinds:
        found = Counter({status: count for (name, status), count in statuses.items() if name == kind})
        told = ", ".join(f"{'hang' if s == -1 else 'closed' if s == 0 else s}: {n}" for s, n in sorted(found.items()))
        rows.append({"requests": kind, "number": sum(found.values()), "answers": told})
    fails = sum(count for (_, status), count in statuses.items() if status >= 500 and status != 503)
    hangs = sum(count for (_, status), count in statuses.items() if status == -1)
    rows += [
        {"requests": "5xx other than 503", "number": fails, "answers": "aim: 0"},
        {"requests": "hangs", "number": hangs, "answers": f"no answer in {PATIENCE:g} s; aim: 0"},
        {"requests": "MiB more per 100 requests", "number": round(growth(memory), 3), "answers": "aim: below 1"},
        {"requests": "MiB at the end", "number": round(memory[-1]), "answers": f"{round(memory[0])} at the start"},
        {"requests": "a photo afterwards", "number": 1, "answers": str(alive)},
    ]
    remarks = (
        f"{COUNT:,} requests, {AT_ONCE} at a time, all kinds mixed, against `linnaea serve` of an export to {TO} with "
        f"its defaults but --header-time and --body-time, which are {IN_TIME:g}. The growth is the slope of the "
        "resident memory by least squares, without the first fifth."
    )
    keep("hostile_requests", "Serving: hostile requests", rows, remarks)


def photo(random: Random, kind: str) -> bytes:
    """A file of noise over colours."""
    coarse = np.array([random.randrange(256) for _ in range(48)], dtype=np.uint8).reshape(4, 4, 3)
    written = io.BytesIO()
    Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(written, kind)
    return written.getvalue()


def photos(place: Path) -> list[Path]:
    """Some for the parity check of the export."""
    for number in range(8):
        (place / f"{number}.jpg").write_bytes(photo(Random(number), "JPEG"))
    return sorted(place.glob("*.jpg"))


def fuzzed(random: Random, kind: str) -> bytes:
    """A file with some bytes changed, cut or doubled."""
    content = bytearray(photo(random, kind))
    for _ in range(random.randint(1, 12)):
        content[random.randrange(len(content))] = random.randrange(256)
    if random.random() < 0.3:
        del content[random.randrange(1, len(content)) :]
    if random.random() < 0.2:
        place = random.randrange(len(content))
        content[place:place] = content[place : place + random.randrange(200)] * random.randint(1, 20)
    return mended(content) if kind == "PNG" and random.random() < 0.7 else bytes(content)


def mended(content: bytearray) -> bytes:
    """A PNG whose checksums are right again, so that what was changed reaches the decoder."""
    place = 8
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        end = place + 8 + length
        if end + 4 > len(content):
            break
        struct.pack_into(">I", content, end, zlib.crc32(content[place + 4 : end]))
        place = end + 4
    return bytes(content)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def bomb(random: Random) -> bytes:
    """A small PNG of very many pixels, most of them beyond the limit."""
    side = BOMB if random.random() < 0.1 else random.choice([8_000, 60_000, 2**31 - 1])
    rows = zlib.compress(bytes((BOMB // 8 + 2) * (BOMB if side == BOMB else 100)), 9)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bad_json(random: Random) -> bytes:
    """JSON that is cut, spoiled, or not what is expected."""
    text = json.dumps({"images": ["aGVsbG8=", random.choice(["http://10.0.0.1/a.jpg", "!", "", "é"])]}).encode()
    spoiled = bytearray(text)
    spoiled[random.randrange(len(spoiled))] = random.randrange(256)
    return random.choice([text, bytes(spoiled), text[: random.randrange(len(text))], b"NaN", b"1e999", b'"\\ud800"'])


def deep_json(random: Random) -> bytes:
    """JSON nested deeply."""
    depth = random.choice([40, 1_000, 100_000, 1_000_000])
    return random.choice([b"[" * depth, b'{"a":' * (depth // 5), b"[" * depth + b"]" * depth])


def huge_header(random: Random) -> bytes:
    """A header longer than may be, or of very many lines."""
    count = random.choice([1, 40, 2_000])
    lines = b"".join(b"X-%d: " % number + b"a" * (30_000 // count) + b"\r\n" for number in range(count))
    return b"POST /predict HTTP/1.1\r\nHost: here\r\n" + lines + b"Content-Length: 0\r\n\r\n"


def cut_form(random: Random) -> bytes:
    """A form that ends too soon, though its length says that it is all."""
    whole = form(photo(random, "JPEG"))
    _, body = whole.split(b"\r\n\r\n", 1)
    return posted(body[: random.randrange(1, len(body))], "multipart/form-data; boundary=----------linnaea")


def garbage(random: Random) -> bytes:
    """Bytes that are no HTTP, or hardly."""
    noise = random.randbytes(random.randrange(1, 300))
    odd = b"POST /predict HTTP/1.1\r\nHost: a\r\n"
    return random.choice(
        [
            noise + b"\r\n\r\n",
            odd + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            odd + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + noise,
            odd + b"Content-Length: 99999999999\r\n\r\n",
            b"GET /%00%ff/../predict?" + noise.hex().encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        ]
    )


KINDS: dict[str, tuple[int, Callable[[Random], bytes]]] = {  # how often, and how it is made
    "fuzzed JPEG": (20, lambda random: posted(fuzzed(random, "JPEG"), "image/jpeg")),
    "fuzzed PNG": (20, lambda random: posted(fuzzed(random, "PNG"), "image/png")),
    "fuzzed WebP": (20, lambda random: posted(fuzzed(random, "WEBP"), "image/webp")),
    "bombs": (2, lambda random: posted(bomb(random), "image/png")),
    "malformed JSON": (10, lambda random: posted(bad_json(random), "application/json")),
    "deep JSON": (5, lambda random: posted(deep_json(random), "application/json")),
    "huge headers": (5, huge_header),
    "cut multipart": (12, cut_form),
    "no HTTP": (6, garbage),
}


def requests(random: Random) -> Iterator[Sent]:
    """All kinds, mixed without an end; now and then a slow-loris."""
    names, weights = list(KINDS), [often for often, _ in KINDS.values()]
    for number in range(sys.maxsize):
        if number % (COUNT // SLOW) == 0:
            head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n"
            yield random.choice(
                [("slow headers", [head, *[b"X"] * 50]), ("slow bodies", [head + b"\r\n", *[b"X"] * 50])]
            )
            continue
        (name,) = random.choices(names, weights)
        yield name, [KINDS[name][1](random)]


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Address]]:
    """The server, once it answers; what it logs is thrown away."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["serve", str(folder), "--port", str(port), "--header-time", str(IN_TIME), "--body-time", str(IN_TIME)]
    process = subprocess.Popen([sys.executable, "-m", "linnaea", *words], stderr=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            time.sleep(0.1)
        yield process, ("127.0.0.1", port)
    finally:
        process.terminate()
        process.wait(60)


def ask(address: Address, sent: Sent) -> int:
    """The status of the answer; 0 where the connection is closed without one, -1 where nothing happens."""
    try:
        with socket.create_connection(address, timeout=PATIENCE) as connection:
            with contextlib.suppress(ConnectionError):  # it may be refused before it is sent
                for part in sent[1]:
                    connection.sendall(part)
                    time.sleep(0.1 if len(sent[1]) > 1 else 0)
            return status_on(connection)
    except TimeoutError:
        return -1
    except OSError:
        return 0


def status_on(connection: socket.socket) -> int:
    got = b""
    while (head := got.find(b"\r\n\r\n")) < 0 or len(got) < head + 4 + int(LENGTH.search(got)[1]):  # type: ignore[index]
        part = connection.recv(65_536)
        if not part:
            return int(got[9:12]) if got else 0
        got += part
    return int(got[9:12])


def assault(
    process: subprocess.Popen[bytes], address: Address, sent: Sequence[Sent]
) -> tuple[Counter[tuple[str, int]], list[float]]:
    """How often each kind got each status, and the memory of the server in MiB after every hundred requests."""
    statuses: Counter[tuple[str, int]] = Counter()
    memory, lock = [resident(process.pid)], threading.Lock()

    def one(given: Sent) -> None:
        status = ask(address, given)
        with lock:
            statuses[given[0], status] += 1
            if statuses.total() % EVERY == 0:
                memory.append(resident(process.pid))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, sent))
    return statuses, memory


def resident(process: int) -> float:
    """Its memory in MiB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def growth(memory: Sequence[float]) -> float:
    """MiB per hundred requests, by least squares, without the first fifth."""
    settled = memory[len(memory) // 5 :]
    return float(np.polyfit(range(len(settled)), settled, 1)[0]) if len(settled) > 1 else 0.0


if __name__ == "__main__":
    main()
