"""streamhold-broker by itself, with nothing but its socket: started in a moment, as often as needed."""
import fcntl
import json
import os
import pathlib
import signal
import socket
import time

WALL = 0x40000000


def high(file):
    """A copy of its descriptor that is not in the way; goes with the exec."""
    return fcntl.fcntl(file.fileno(), fcntl.F_DUPFD_CLOEXEC, 100)


class LoneBroker:
    def __init__(self, folder, build, config=None):
        self.folder = pathlib.Path(folder)
        self.log = self.folder / "broker.log"
        config_file = self.folder / "config.json"
        config_file.write_text(json.dumps({
            "keystore": {"backend": "file"},
            "paths": {"state_dir": str(self.folder / "state"),
                      "runtime_dir": str(self.folder / "run")},
            "platforms": {"kick": {"api_url": "http://127.0.0.1:9/public/v1"}}} | (config or {})))
        path = self.folder / "admin.sock"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener, open(self.log, "wb") as log:
            listener.bind(str(path))
            listener.listen()
            copy = high(listener)
            command = ("export LISTEN_PID=$$; "
                       f"exec {build}/bin/streamhold-broker --config {config_file}")
            self.pid = os.posix_spawn(
                "/bin/sh", ["sh", "-c", command],
                os.environ | {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "admin"},
                file_actions=[(os.POSIX_SPAWN_DUP2, log.fileno(), 2),
                              (os.POSIX_SPAWN_DUP2, copy, 3)])
            os.close(copy)
        end = time.monotonic() + 20
        while b"is ready" not in self.log.read_bytes():
            assert os.waitpid(self.pid, os.WNOHANG)[0] == 0 and time.monotonic() < end, \
                self.log.read_text()
            time.sleep(0.002)

    def stop(self):
        """Also when it has ended, and whoever has waited for it."""
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, WALL)
        except (ProcessLookupError, ChildProcessError):
            pass
