"""A stock python-socketio client driven by lines: `python client.py SPEC`.

SPEC is JSON: { url, namespace, path, transport, auth, resume }. Everything that happens is printed as a
line of JSON; lines of JSON on stdin ({ emit, data, id }) are emitted, and its end is the end.

It is the asyncio client: the threaded one starts a thread for each message, so its handlers may run in
another order than the messages came in.
"""

import asyncio
import json
import sys

import socketio

TRANSPORTS = {"websocket": ["websocket"], "polling": ["polling"], "upgrade": ["polling", "websocket"]}
# How many seconds a connection may take on a busy machine.
CONNECT_SECONDS = 10


def show(line):
    print(json.dumps(line), flush=True)


class Follower:
    def __init__(self, spec):
        self.spec = spec
        self.position = spec["auth"].get("after")
        # Short and constant, so that a test waits for the server and not for a back-off.
        self.socket = socketio.AsyncClient(
            reconnection_delay=0.02, reconnection_delay_max=0.1, randomization_factor=0
        )
        namespace = spec["namespace"]
        self.socket.on("connect", self.on_connect, namespace=namespace)
        self.socket.on("disconnect", self.on_disconnect, namespace=namespace)
        self.socket.on("connect_error", self.on_connect_error, namespace=namespace)
        self.socket.on("*", self.on_any, namespace=namespace)

    def resume(self):
        return {} if self.position is None else {"after": self.position}

    def auth(self):
        return self.spec["auth"] | (self.resume() if self.spec["resume"] == "auth" else {})

    async def connect(self):
        try:
            await self.socket.connect(
                self.spec["url"],
                auth=self.auth,
                transports=TRANSPORTS[self.spec["transport"]],
                namespaces=[self.spec["namespace"]],
                socketio_path=self.spec["path"],
                wait_timeout=CONNECT_SECONDS,
            )
        except socketio.exceptions.ConnectionError:
            pass  # Shown by on_connect_error.

    async def emit(self, event, data, id):
        def on_ack(answer):
            show({"kind": "ack", "id": id, "data": answer})

        await self.socket.emit(event, data, namespace=self.spec["namespace"], callback=on_ack)

    async def on_connect(self):
        show({"kind": "connect", "transport": self.socket.transport()})
        if self.spec["resume"] == "subscribe":
            await self.emit("subscribe", self.resume(), "subscribe")

    def on_disconnect(self, reason):
        show({"kind": "disconnect", "reason": reason})

    def on_connect_error(self, error):
        show({"kind": "connect_error", "message": error["message"] if "message" in error else error})

    def on_any(self, event, data=None):
        if isinstance(data, dict):
            self.position = data.get("position", self.position)
        show({"kind": "event", "event": event, "data": data})


async def main():
    follower = Follower(json.loads(sys.argv[1]))
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    connecting = asyncio.create_task(follower.connect())
    async for line in commands:
        command = json.loads(line)
        await follower.emit(command["emit"], command["data"], command["id"])
    connecting.cancel()
    await follower.socket.disconnect()


asyncio.run(main())
