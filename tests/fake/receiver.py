"""A webhook receiver that records what it is sent; for the tests of the senders."""
from .http import Listener, Response
from .loop import LoopThread


class Receiver:
    """status, wire: how to answer; requests: what came, as http.Request."""

    def __init__(self):
        self.requests, self.status, self.wire = [], 200, "send"
        self.listener = Listener(self._handle, lambda: "Thu, 01 Jan 1970 00:00:00 GMT")
        self.loop = LoopThread()

    async def _handle(self, request):
        self.requests.append(request)
        return Response(self.status, wire=self.wire)

    def __enter__(self):
        self.loop.start()
        self.loop.run(self.listener.start())
        self.url = f"http://127.0.0.1:{self.listener.port}/webhooks/kick"
        return self

    def __exit__(self, *_):
        self.loop.run(self.listener.stop())
        self.loop.stop()
