"""Takes batches as fast as it can, for measuring those who send: `python delivery_sink.py PORT`.

`GET /hold` keeps the answers back until `GET /open`; `GET /report` gives `[distinct_id, n, uuid]` of every
event in order of arrival. Bodies are unpacked only for the report.
"""

import asyncio
import gzip
import json
import sys

OK = b'{"status":"Ok"}'


class Sink:
    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.open = asyncio.Event()
        self.open.set()

    async def answer(self, path: str, body: bytes) -> bytes:
        if path == "/hold":
            self.open.clear()
        elif path == "/open":
            self.open.set()
        elif path == "/report":
            return json.dumps(self.report()).encode()
        elif path.startswith(("/batch", "/capture", "/e", "/i/")):
            await self.open.wait()
            self.bodies.append(body)
        return OK

    def report(self) -> list[list[object]]:
        found: list[list[object]] = []
        for body in self.bodies:
            batch = json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)["batch"]
            found += [
                [event["distinct_id"], event["properties"].get("n"), event.get("uuid")] for event in batch
            ]
        return found


class Connection(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.data = bytearray()
        self.needed: int | None = None
        self.path = ""
        self.answering: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        while True:
            if self.needed is None:
                end = self.data.find(b"\r\n\r\n")
                if end < 0:
                    return
                head = bytes(self.data[:end]).lower()
                self.path = head.split(b" ", 2)[1].decode()
                place = head.find(b"content-length:")
                length = int(head[place + 15 :].split(b"\r\n")[0]) if place >= 0 else 0
                del self.data[: end + 4]
                self.needed = length
            if len(self.data) < self.needed:
                return
            body = bytes(self.data[: self.needed])
            del self.data[: self.needed]
            self.needed = None
            task = asyncio.create_task(self.reply(self.path, body))
            self.answering.add(task)
            task.add_done_callback(self.answering.discard)

    async def reply(self, path: str, body: bytes) -> None:
        text = await self.sink.answer(path, body)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        self.transport.write(head.encode() + text)


async def main() -> None:
    sink = Sink()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(sink), "127.0.0.1", int(sys.argv[1]), reuse_address=True
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
