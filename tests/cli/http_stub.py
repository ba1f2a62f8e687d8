"""A small HTTP server whose faults are wanted: what `querent bench http` is measured against.

    with Stub(lambda request: (200, {"delay": 0.01})) as stub:
        run(..., stub.url)
    stub.requests                                     # (method, path, headers, body) of each
    stub.times                                        # when each of them was there: seconds since the stub began

`answer` gets the number of the request and returns (code, options): delay (seconds before the answer), freeze (seconds for which the
whole server stands still), silent (no answer at all), raw (these bytes instead), close (Connection: close after the answer).
"""

import asyncio
import threading
import time


class Stub:
    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.times = []
        self.begun = time.monotonic()
        self.connections = 0
        self.port = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.times.append(time.monotonic() - self.begun)
                self.requests.append((method, path, headers, body))
                code, options = self.answer(len(self.requests))
                if "freeze" in options:
                    time.sleep(options["freeze"])
                await asyncio.sleep(options.get("delay", 0))
                if options.get("silent"):
                    continue
                close = "Connection: close\r\n" if options.get("close") else ""
                plain = f"HTTP/1.1 {code} X\r\nContent-Length: 2\r\n{close}\r\n[]".encode()
                writer.write(options.get("raw", plain))
                await writer.drain()
                if options.get("close") or "raw" in options:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def __enter__(self):
        started = threading.Event()

        async def main():
            server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=512)
            self.port = server.sockets[0].getsockname()[1]
            self.stopping = asyncio.Event()
            self.loop = asyncio.get_running_loop()
            started.set()
            await self.stopping.wait()
            server.close()

        self.thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
        self.thread.start()
        assert started.wait(60)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stopping.set)
        self.thread.join(60)
