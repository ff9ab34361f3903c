"""Figures of a run: medians over slices, the table, the gates."""
import os
import platform
import re
import statistics

from .measure import SIDE_CONNECTIONS

ROLES = ("api", "webhook", "broker", "up", "vault")


def spread(values):
    values = [value for value in values if value is not None]
    if not values:
        return None
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def field(slices, name, scale=1.0):
    return spread([one[name] * scale if one.get(name) is not None else None
                   for one in slices])


def latencies(slices):
    return {name: field(slices, f"{name}_us", 1e-3)
            for name in ("p50", "p90", "p99", "p999", "max")}


def side(slices):
    """The figures of a status or echo run."""
    statuses = {}
    for one in slices:
        for status, count in one["statuses"].items():
            statuses[status] = statuses.get(status, 0) + count
    return {"connections": SIDE_CONNECTIONS, "rate": field(slices, "rate"),
            "latency_ms": latencies(slices), "statuses": statuses}


def ingest(slices):
    stored = [one["stored"] for one in slices]
    cpu_ratio = [one["daemon_cpu_us"] / one["verify_cpu_us"]
                 if one.get("daemon_cpu_us") is not None else None for one in slices]
    return {
        "slices": len(slices), "rate": field(slices, "rate"),
        "ratio": field(slices, "ratio"), "r1": field(slices, "r1"),
        "latency_ms": latencies(slices),
        "daemon_cpu_us": field(slices, "daemon_cpu_us"), "cpu_ratio": spread(cpu_ratio),
        "load_cpu_us": field(slices, "cpu_us_per_request"),
        "accepted": sum(one["ok"] + (one["first_status"] == 200) for one in slices),
        "stored": None if None in stored else sum(stored),
        "exhausted": sum(one["exhausted"] for one in slices),
    }


def memory(slices):
    """Idle median and highest peak by role, in MB."""
    found = {}
    roles = {role for one in slices for role in one.get("peak_rss_mb", {})}
    for role in sorted(roles, key=lambda role: (role not in ROLES, role)):
        idle = [one["idle_rss_mb"].get(role) for one in slices if "idle_rss_mb" in one]
        peak = [one["peak_rss_mb"].get(role) for one in slices if "peak_rss_mb" in one]
        found[role] = {"idle_mb": spread(idle)["median"],
                       "peak_mb": spread(peak)["max"]}
    return found


def summarise(results, bench, seconds):
    """Everything that is printed, as one dictionary; also what --json gives."""
    every = [one for slices in results.values() for one in slices]
    loads = [one for key, slices in results.items() if key[0] == "ingest"
             for one in slices]
    calibs = [calib for one in every for calib in one["calib"]]
    summary = {
        "format_version": 1, "cpus": os.cpu_count(), "kernel": platform.release(),
        "seconds": seconds,
        "verify": {"per_s": field(calibs, "verify_per_s"),
                   "cpu_us": field(calibs, "verify_cpu_us")},
        "fdatasync_ms": {"p50": field(calibs, "sync_p50_us", 1e-3),
                         "p99": field(calibs, "sync_p99_us", 1e-3)},
        "ingest": {str(key[1]): ingest(slices) for key, slices in results.items()
                   if key[0] == "ingest"},
        "ready_ms": field(loads, "ready_ms"), "first_ms": field(loads, "first_ms"),
        "memory": memory(loads), "status_path": bench.status_path,
        "noise": {"dropped": bench.dropped, "kept_noisy": sum(o["noisy"] for o in every),
                  "others_cpu": field(loads, "others_cpu"),
                  "steal_cpu": field(loads, "steal_cpu")},
        "problems": bench.problems,
    }
    for kind in ("status", "echo_post", "echo_get"):
        slices = results.get((kind, SIDE_CONNECTIONS))
        summary[kind] = side(slices) if slices else None
    return summary


# -- gates ----------------------------------------------------------------------------

def median(figure):
    return figure["median"] if figure else None


def status_ratio(summary):
    if not summary["status"] or not summary["echo_get"]:
        return None
    return median(summary["status"]["rate"]) / median(summary["echo_get"]["rate"])


def latency(name):
    return lambda summary, count: median(summary["ingest"][count]["latency_ms"][name])


# Name, whether more is better, and where the figure is. {N} is a connection count.
PER_COUNT = (
    (r"ratio(\d+)", True, lambda s, n: median(s["ingest"][n]["ratio"])),
    (r"rate(\d+)", True, lambda s, n: median(s["ingest"][n]["rate"])),
    (r"p50_(\d+)_ms", False, latency("p50")),
    (r"p99_(\d+)_ms", False, latency("p99")),
    (r"cpu_ratio(\d+)", False, lambda s, n: median(s["ingest"][n]["cpu_ratio"])),
)
WHOLE = {
    "status_rate": (True, lambda s: s["status"] and median(s["status"]["rate"])),
    "status_ratio": (True, status_ratio),
    "ready_ms": (False, lambda s: median(s["ready_ms"])),
    "first_ms": (False, lambda s: median(s["first_ms"])),
    "rss_api_mb": (False, lambda s: s["memory"].get("api", {}).get("peak_mb")),
    "rss_webhook_mb": (False, lambda s: s["memory"].get("webhook", {}).get("peak_mb")),
    "rss_broker_mb": (False, lambda s: s["memory"].get("broker", {}).get("peak_mb")),
}
GATE_NAMES = ("ratioN rateN p50_N_ms p99_N_ms cpu_ratioN (N: a number of connections) " +
              " ".join(WHOLE))


def find_gate(name, connections):
    """(more is better, function of the summary), or None for an unknown name."""
    if name in WHOLE:
        return WHOLE[name]
    for pattern, more, figure in PER_COUNT:
        found = re.fullmatch(pattern, name)
        if found and int(found.group(1)) in connections:
            count = found.group(1)
            return more, lambda summary: figure(summary, count)
    return None


def check_gates(gates, summary, connections):
    """What was asked of the run. A figure that was not measured misses its gate."""
    done = []
    for name, limit in gates:
        more, figure = find_gate(name, connections)
        value = figure(summary)
        met = value is not None and (value >= limit if more else value <= limit)
        done.append({"name": name, "limit": limit, "value": value, "met": met,
                     "sense": ">=" if more else "<="})
    return done


# -- the table ------------------------------------------------------------------------

def number(figure, digits=2, key="median"):
    return "-" if figure is None else f"{figure[key]:.{digits}f}"


def ingest_lines(summary):
    yield (f"{'conns':>6} {'rate/s':>8} {'min':>8} {'max':>8} {'/R1':>6} {'p50 ms':>8} "
           f"{'p99 ms':>8} {'p99.9':>8} {'CPU us':>7} {'/verify':>8} {'accepted':>9} "
           f"{'stored':>9}")
    for count, one in summary["ingest"].items():
        times = one["latency_ms"]
        stored = "-" if one["stored"] is None else one["stored"]
        yield (f"{count:>6} {number(one['rate'], 0):>8} {number(one['rate'], 0, 'min'):>8} "
               f"{number(one['rate'], 0, 'max'):>8} {number(one['ratio']):>6} "
               f"{number(times['p50']):>8} {number(times['p99']):>8} "
               f"{number(times['p999']):>8} {number(one['daemon_cpu_us'], 1):>7} "
               f"{number(one['cpu_ratio']):>8} {one['accepted']:>9} {stored:>9}")


def side_lines(summary):
    rows = (("status", f"GET {summary['status_path']}", "echo_get"),
            ("echo_post", "bench_echo, POST of the same deliveries", None),
            ("echo_get", "bench_echo, GET of the same path", None))
    for key, text, ceiling in rows:
        one = summary[key]
        if not one:
            continue
        line = (f"{number(one['rate'], 0):>8}/s  p50 {number(one['latency_ms']['p50'])} "
                f"p99 {number(one['latency_ms']['p99'])} ms  {text}, answers "
                f"{' '.join(sorted(one['statuses']))}")
        if ceiling and summary[ceiling]:
            ratio = one["rate"]["median"] / summary[ceiling]["rate"]["median"]
            line += f"; {ratio:.2f} of the echo"
        yield line
    best = summary["ingest"].get(str(SIDE_CONNECTIONS))
    if best and summary["echo_post"]:
        ratio = best["rate"]["median"] / summary["echo_post"]["rate"]["median"]
        yield f"ingest at {SIDE_CONNECTIONS} connections is {ratio:.2f} of the POST echo"


def process_lines(summary):
    for role, one in summary["memory"].items():
        yield (f"{role:>8}: {one['idle_mb']:.1f} MB after the first event, "
               f"{one['peak_mb']:.1f} MB at most")
    if summary["ready_ms"]:
        yield (f"from exec to the listening line {number(summary['ready_ms'], 1)} ms, "
               f"to the first 200 {number(summary['first_ms'], 1)} ms (medians)")


def noise_lines(summary):
    noise, rate = summary["noise"], summary["verify"]["per_s"]
    swing = (rate["max"] - rate["min"]) / rate["median"] * 100
    yield (f"Noise: R1 swung by {swing:.0f} % over the run; {noise['dropped']} slices "
           f"dropped and repeated, {noise['kept_noisy']} kept although R1 moved.")
    if noise["others_cpu"]:
        yield (f"Other programs took about {number(noise['others_cpu'])} of "
               f"{summary['cpus']} CPUs while loads ran (up to "
               f"{number(noise['others_cpu'], 2, 'max')}), the hypervisor "
               f"{number(noise['steal_cpu'])}.")
    short = sum(one["exhausted"] for one in summary["ingest"].values())
    if short:
        yield f"{short} ingest slices ended early: all prepared deliveries were sent."
    yield "The load generator shares the CPUs. Trust ratios within this run only."


def lines(summary, slices):
    verify, sync = summary["verify"], summary["fdatasync_ms"]
    yield (f"Medians of {slices} interleaved slices of {summary['seconds']:g} s, "
           f"{summary['cpus']} CPUs, Linux {summary['kernel']}")
    yield (f"R1, one core verifying RSA-2048: {number(verify['per_s'], 0)}/s "
           f"({number(verify['per_s'], 0, 'min')} to {number(verify['per_s'], 0, 'max')}), "
           f"{number(verify['cpu_us'], 1)} us of CPU each")
    yield (f"fdatasync of 16 KB: p50 {number(sync['p50'])} ms, p99 {number(sync['p99'])} ms"
           )
    yield ""
    yield "Signed deliveries accepted durably:"
    yield from ingest_lines(summary)
    for part in (side_lines, process_lines, noise_lines):
        yield ""
        yield from part(summary)
    for gate in summary["gates"]:
        value = "not measured" if gate["value"] is None else f"{gate['value']:.3g}"
        yield (f"gate {gate['name']} {gate['sense']} {gate['limit']:g}: {value}, "
               f"{'met' if gate['met'] else 'MISSED'}")
    for problem in summary["problems"]:
        yield f"PROBLEM {problem}"
