"""An event loop on a thread of its own, which ends without leaving anything half done."""
import asyncio
import threading

SECONDS = 10


class LoopThread:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def start(self):
        self.thread.start()

    def run(self, coroutine):
        """Runs it in the loop; its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(SECONDS)

    def stop(self):
        self.run(self._end_tasks())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(SECONDS)
        self.loop.close()

    async def _end_tasks(self):
        """Ends every task, also those that begin meanwhile (a connection in the middle of being
        accepted): one that is left when the loop closes could not close its connection."""
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.sleep(0)      # each has begun, so that its `finally` is carried out
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
