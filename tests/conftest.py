"""What every Python test may use: where the builds are, a folder of its own, the daemons."""
import os
import pathlib
import shutil
import signal
import tempfile
import threading

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


def build_folder(variable, default):
    path = pathlib.Path(os.environ.get(variable, ROOT / "build" / default))
    if not (path / "bin").is_dir():
        pytest.exit(f"{path} holds no build: run tests/run, or set {variable}", returncode=3)
    return path


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: measures, so nothing else may run beside it")
    # A shell has what it starts in the background ignore ^C, and programs inherit that.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    if hasattr(config, "workerinput"):
        from tests.lib.lanes import rank
        items.sort(key=lambda item: rank(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from tests.lib.lanes import Lanes
    return Lanes(config, log)


@pytest.fixture(scope="session")
def build():
    """The build with sanitizers."""
    return build_folder("STREAMHOLD_BUILD", "asan")


@pytest.fixture(scope="session")
def plain():
    """The build that is measured."""
    return build_folder("STREAMHOLD_PLAIN", "plain")


def is_proof(nodeid):
    """Whether a scenario of F.4 is proven by this test."""
    from tests.system.f4 import proves
    return proves(nodeid)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    from tests.lib.tools import nothing_may_lack
    if report.skipped and nothing_may_lack() and is_proof(item.nodeid):
        report.outcome = "failed"
        report.longrepr = f"a scenario of F.4 is not proven: {report.longrepr}"
    if call.when == "call":
        item.failed = report.failed


@pytest.fixture
def folder(request):
    """A folder of the test's own with a short name (socket paths are short), kept when
    the test fails."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="sh-"))
    yield path
    if getattr(request.node, "failed", False):
        print(f"kept: {path}")
    else:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def streamhold(build, folder):
    """Starts daemons: streamhold(config) gives a running Streamhold; all are stopped at
    the end. What the sanitizers had to say fails the test, and so does a process that the
    sandbox killed, which `up` would have replaced at once: unless `sandbox_kills` is said."""
    from tests.lib.daemon import Streamhold
    running = []
    expected = []

    def start(config=None, sandbox_kills=False, **options):
        options.setdefault("build", build)
        daemon = Streamhold(options.pop("folder", folder), config, **options)
        running.append(daemon)
        if sandbox_kills:
            expected.append(daemon)
        return daemon.start()

    yield start
    problems = []
    for daemon in running:
        daemon.stop()
        problems += daemon.sanitizer_reports()
        if daemon not in expected:
            problems += daemon.killed
    assert not problems, "\n".join(problems)


@pytest.fixture
def fakes():
    """The three fake platforms, made when they are first asked for."""
    from tests.lib.platforms import Platforms
    platforms = Platforms()
    yield platforms
    platforms.stop()
