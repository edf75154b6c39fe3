"""websockets, and httpx-sse, each followed by lines: `python follow.py LIBRARY SPEC`.

SPEC is JSON, { url, token }, with the address of a feed. What happens is printed as lines of JSON, and the
end of stdin is the end.
"""

import asyncio
import json
import sys

import httpx
import httpx_sse
import websockets

# Short, so that a test waits for the server and not for a back-off.
AGAIN_SECONDS = 0.02
# Longer than a connection is ever silent.
SILENCE_SECONDS = 30


class Refused(Exception):
    pass


def show(kind, **line):
    print(json.dumps({"kind": kind, **line}), flush=True)


class Follower:
    def __init__(self, spec):
        self.url = spec["url"]
        self.headers = {"Authorization": f"Bearer {spec['token']}"} if "token" in spec else {}
        self.position = ""

    def apply(self, message):
        self.position = message["position"]
        show("event", event=message["type"], data=message)

    async def websockets(self):
        url = f"{self.url.replace('http', 'ws')}/ws?after={self.position}"
        connect = websockets.connect(
            url, additional_headers=self.headers, subprotocols=["tallycast.v1"]
        )
        try:
            async with connect as socket:
                show("connect", protocol=socket.subprotocol)
                async for text in socket:
                    self.apply(json.loads(text))
        except websockets.InvalidStatus as refusal:
            raise Refused(refusal.response.status_code)

    async def httpx_sse(self):
        headers = self.headers | ({"Last-Event-ID": self.position} if self.position else {})
        async with (
            httpx.AsyncClient(timeout=SILENCE_SECONDS) as client,
            httpx_sse.aconnect_sse(client, "GET", f"{self.url}/sse", headers=headers) as source,
        ):
            if source.response.status_code != 200:
                raise Refused(source.response.status_code)
            show("connect")
            async for event in source.aiter_sse():
                message = json.loads(event.data)
                assert (event.event, event.id) == (message["type"], message["position"]), event
                self.apply(message)


async def follow(connect):
    while True:
        try:
            await connect()
            show("disconnect", reason="end")
        except Refused as refusal:
            return show("connect_error", status=refusal.args[0])
        except (OSError, EOFError, httpx.TransportError, websockets.WebSocketException) as error:
            show("disconnect", reason=repr(error))
        await asyncio.sleep(AGAIN_SECONDS)


async def main():
    follower = Follower(json.loads(sys.argv[2]))
    stdin = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin
    )
    tasks = [asyncio.create_task(follow(getattr(follower, sys.argv[1]))), asyncio.create_task(stdin.read())]
    ended, running = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in running:
        task.cancel()
    for task in ended:
        task.result()


asyncio.run(main())
