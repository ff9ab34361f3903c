"""Slices: one short measurement each, with the machine's own speed before and after."""
import pathlib
import resource
import time

from .server import TICK, Server
from .tools import BenchError, send_one

# R1 may differ by this much before and after a slice, else it is done again.
NOISE_LIMIT = 1.25
REPEATS = 3
SIDE_CONNECTIONS = 64


def machine_ticks():
    """(busy, steal) of the whole machine in seconds of CPU."""
    line = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, irq, soft, steal = (int(v) for v in line[:8])
    return (user + nice + system + irq + soft) / TICK, steal / TICK


def children_cpu():
    """CPU seconds of the programs that were run and waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Bench:
    """What all slices of a run share."""

    def __init__(self, tools, corpus, work, seconds, say, start_server, status_path,
                 resend=False):
        self.tools, self.corpus, self.work = tools, corpus, work
        self.seconds, self.say = seconds, say
        self.start_server = start_server
        self.status_path = status_path
        self.resend = resend
        self.offset = 0  # of a server that outlives its slices
        self.problems = []
        self.dropped = 0

    # -- one slice --------------------------------------------------------------------

    def slice(self, kind, connections):
        """Measures until the machine kept still, REPEATS times more at most."""
        for attempt in range(REPEATS + 1):
            before = self.tools.calib(self.work, self.corpus.keys)
            result = self._measure(kind, connections)
            after = self.tools.calib(self.work, self.corpus.keys)
            rates = before["verify_per_s"], after["verify_per_s"]
            result["calib"] = [before, after]
            result["r1"] = sum(rates) / 2
            result["ratio"] = result["rate"] / result["r1"]
            result["verify_cpu_us"] = (before["verify_cpu_us"] +
                                       after["verify_cpu_us"]) / 2
            result["noisy"] = max(rates) / min(rates) > NOISE_LIMIT
            if not result["noisy"]:
                break
            if attempt < REPEATS:
                self.dropped += 1
                self.say(f"  dropped: R1 was {rates[0]:.0f}, then {rates[1]:.0f}")
        others = result.get("others_cpu")
        self.say(f"  {kind} {connections}: {result['rate']:.0f}/s, "
                 f"{result['ratio']:.2f} R1, p99 {result['p99_us'] / 1000:.2f} ms" +
                 (f", other programs {others:.2f} CPUs" if others is not None else ""))
        return result

    def _measure(self, kind, connections):
        if kind == "ingest":
            return self._ingest(connections)
        if kind == "status":
            server = self.start_server()
        else:
            server = Server([self.tools.path("bench_echo")], self.work,
                            self.corpus.public_key).start()
        try:
            if kind == "echo_post":
                return self.tools.load(server.webhook_port, connections, self.seconds,
                                       self.corpus.file, 0)
            return self.tools.get(server.api_port, connections, self.seconds,
                                  self.status_path)
        finally:
            self._end(server, kind)
            server.clean()

    def _end(self, server, what):
        wrong = server.stop()
        if wrong:
            self.problems.append(f"{what}: {wrong}")

    def _ingest(self, connections):
        server = self.start_server()
        running = not isinstance(server, Server)
        offset = self.offset if running else 0
        if running and offset + 1 >= self.corpus.count:
            if not self.resend:
                raise BenchError("all deliveries were sent; --requests makes more, "
                                 "--resend repeats them")
            offset = 0
        try:
            result = self._load(server, connections, offset)
            self.offset = result["next_offset"]
            self._end(server, f"ingest {connections}")
            result["stored"], result["ids"] = server.stored() or (None, None)
            self._check(result, connections)
            return result
        finally:
            if not running and server.process.poll() is None:
                server.stop()
            server.clean()

    def _load(self, server, connections, offset):
        first = send_one(server.webhook_port, self.corpus.record(offset))
        first_ms = None
        if isinstance(server, Server):
            first_ms = (time.monotonic() - server.started) * 1000
        before, ticks = server.usage(), machine_ticks()
        start, load_cpu = time.monotonic(), children_cpu()
        result = self.tools.load(server.webhook_port, connections, self.seconds,
                                 self.corpus.file, offset + 1)
        wall = time.monotonic() - start
        after, later = server.usage(), machine_ticks()
        result.update(first_status=first, first_ms=first_ms, ready_ms=server.ready_ms)
        cpu = after.cpu_since(before) if before else None
        if cpu is not None:
            result["daemon_cpu_us"] = cpu * 1e6 / max(result["answered"], 1)
            result["idle_rss_mb"], result["rss_mb"] = before.rss, after.rss
            result["peak_rss_mb"] = after.peak
            own = cpu + children_cpu() - load_cpu
            result["others_cpu"] = max(0.0, (later[0] - ticks[0] - own) / wall)
        result["steal_cpu"] = (later[1] - ticks[1]) / wall
        return result

    def _check(self, result, connections):
        """Every 200 is in the database and nothing else went wrong."""
        wrong = []
        accepted = result["ok"] + (result["first_status"] == 200)
        in_doubt = result["errors"] + result["unanswered"]
        if result["answered"] != result["ok"] or result["first_status"] != 200:
            wrong.append(f"answers {result['statuses']}, first {result['first_status']}")
        if in_doubt:
            wrong.append(f"{in_doubt} requests without an answer")
        if result["stored"] is not None and not (
                accepted <= result["stored"] <= accepted + in_doubt):
            wrong.append(f"{accepted} answered 200 but {result['stored']} stored")
        if result["stored"] != result["ids"]:
            wrong.append(f"{result['stored']} events under {result['ids']} message ids")
        self.problems += [f"ingest {connections}: {text}" for text in wrong]

    # -- the whole --------------------------------------------------------------------

    def run(self, connections, slices, status=True, echo=True):
        """Interleaved slices of every kind; a list of results by (kind, connections)."""
        plan = [("ingest", count) for count in connections]
        if status:
            plan.append(("status", SIDE_CONNECTIONS))
        if echo:
            plan += [("echo_post", SIDE_CONNECTIONS), ("echo_get", SIDE_CONNECTIONS)]
        results = {key: [] for key in plan}
        for number in range(slices):
            self.say(f"slice {number + 1} of {slices}")
            for key in plan:
                results[key].append(self.slice(*key))
        return results

