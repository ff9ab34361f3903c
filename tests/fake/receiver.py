"""A webhook receiver that records what it is sent; for the tests of the senders."""
import asyncio
import threading

from .http import Listener, Response


class Receiver:
    """status, wire: how to answer; requests: what came, as http.Request."""

    def __init__(self):
        self.requests, self.status, self.wire = [], 200, "send"
        self.listener = Listener(self._handle, lambda: "Thu, 01 Jan 1970 00:00:00 GMT")
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    async def _handle(self, request):
        self.requests.append(request)
        return Response(self.status, wire=self.wire)

    def __enter__(self):
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.listener.start(), self.loop).result(10)
        self.url = f"http://127.0.0.1:{self.listener.port}/webhooks/kick"
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self.listener.stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()
