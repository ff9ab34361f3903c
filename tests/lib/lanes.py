"""How tests/run shares the tests out among lanes: whole files, the longest first, so that the
lanes end together. A lane is a process of pytest-xdist."""
from xdist.scheduler.loadscope import LoadScopeScheduling

# Files that take longest, as a run with --durations=0 tells; the others follow as they come.
LONGEST = ["tests/packaging", "tests/system/test_refresh.py", "tests/crash/test_refresh_calls.py",
           "tests/crash/test_refresh_instants.py",
           "tests/system/test_subscriptions.py", "tests/system/test_keyring_grid.py",
           "tests/system/test_refresh_clock.py", "tests/system/test_scenarios.py",
           "tests/system/test_cli_device.py", "tests/system/test_deliveries.py",
           "tests/crash/test_kill_refresh.py", "tests/crash/test_kill_together.py",
           "tests/system/test_http_chaos.py",
           "tests/system/test_http_limits.py", "tests/unit/test_programs.py",
           "tests/system/test_keyring.py", "tests/system/test_push.py",
           "tests/system/test_consumers.py", "tests/system/test_canaries.py",
           "tests/fuzz/test_fuzzers.py"]    # not while packages are built: both take a processor
TOGETHER = ("tests/packaging",)     # folders whose files share what they build


def unit(nodeid):
    """What one lane does in one piece: a file, or a folder."""
    file = nodeid.partition("::")[0]
    return next((folder for folder in TOGETHER if file.startswith(folder + "/")), file)


def rank(nodeid):
    """For sorting: the longest first."""
    name = unit(nodeid)
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


class Lanes(LoadScopeScheduling):
    def _split_scope(self, nodeid):
        return unit(nodeid)
