"""A real gnome-keyring on a session bus of the test's own, with its own home."""
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess

from tests.lib.stopwatch import Stopwatch

PASSWORD = "correct horse"


def have():
    return all(shutil.which(name) for name in ("dbus-daemon", "gnome-keyring-daemon",
                                               "secret-tool", "gdbus"))


class Keyring:
    def __init__(self, folder, activation=True):
        self.folder = pathlib.Path(folder)
        self.home = self.folder / "home"
        self.runtime = self.folder / "xdg"
        self.home.mkdir(exist_ok=True)
        self.runtime.mkdir(mode=0o700, exist_ok=True)
        self.activation = activation
        self.bus = None
        self.daemon = None

    @property
    def environment(self):
        return {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.runtime),
                "XDG_DATA_HOME": str(self.home / ".local/share"),
                "XDG_CONFIG_HOME": str(self.home / ".config"),
                "XDG_STATE_HOME": str(self.home / ".local/state"),
                "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.runtime}/bus"}

    def full_environment(self):
        return {**os.environ, **self.environment}

    # -- life -------------------------------------------------------------------------

    def start_bus(self):
        """A bus whose activation starts nothing, or gnome-keyring alone."""
        services = self.folder / "services"
        services.mkdir(exist_ok=True)
        if self.activation:
            (services / "org.freedesktop.secrets.service").write_text(
                "[D-BUS Service]\nName=org.freedesktop.secrets\n"
                "Exec=/usr/bin/gnome-keyring-daemon --start --foreground "
                "--components=secrets\n")
        config = self.folder / "bus.conf"
        config.write_text(
            "<busconfig><type>session</type>"
            f"<listen>unix:path={self.runtime}/bus</listen>"
            f"<servicedir>{services}</servicedir><auth>EXTERNAL</auth>"
            "<policy context='default'><allow send_destination='*' eavesdrop='true'/>"
            "<allow eavesdrop='true'/><allow own='*'/></policy></busconfig>")
        self.bus = subprocess.Popen(["dbus-daemon", "--nofork", f"--config-file={config}"],
                                    env=self.full_environment(), stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL)
        wait_for(lambda: (self.runtime / "bus").exists(), 5)
        return self

    def start(self):
        """The bus, and a keyring that is unlocked."""
        if not self.bus:
            self.start_bus()
        return self.start_daemon()

    def start_daemon(self, password=PASSWORD):
        self.daemon = subprocess.Popen(
            ["gnome-keyring-daemon", "--unlock", "--components=secrets", "--foreground"],
            env=self.full_environment(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        self.daemon.stdin.write(password.encode())
        self.daemon.stdin.close()
        # Not asked before it is there: the bus would start another one, which is locked.
        wait_for(self.has_owner, 10)
        wait_for(lambda: self.locked() is False, 10)
        return self

    def unlock(self):
        """Gives the password to the daemon that runs, as PAM does at a login (control
        socket of gnome-keyring: a byte, then length, operation, length, password)."""
        self.service("ReadAlias", "default")        # activates it
        control = self.runtime / "keyring" / "control"
        wait_for(control.exists, 5)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(10)
            link.connect(str(control))
            word = PASSWORD.encode()
            link.sendall(b"\0" + struct.pack(">III", 12 + len(word), 1, len(word)) + word)
            assert struct.unpack(">II", link.recv(8, socket.MSG_WAITALL)) == (8, 0)

    def has_owner(self):
        """Whether a process has the name; asking starts none."""
        return "true" in self.call("org.freedesktop.DBus", "/org/freedesktop/DBus",
                                   "org.freedesktop.DBus.NameHasOwner",
                                   "org.freedesktop.secrets")

    def pid(self):
        """The process that owns the name at present."""
        owner = self.call("org.freedesktop.DBus", "/org/freedesktop/DBus",
                          "org.freedesktop.DBus.GetConnectionUnixProcessID",
                          "org.freedesktop.secrets")
        found = re.search(r"uint32 (\d+)", owner)
        return int(found.group(1)) if found else None

    def kill(self, how=signal.SIGKILL):
        pid = self.pid()
        os.kill(pid, how)
        if how == signal.SIGKILL and self.daemon:
            self.daemon.wait(5)

    def stop(self):
        pid = None
        if self.bus and self.bus.poll() is None:
            try:
                if self.has_owner():
                    pid = self.pid()
            except subprocess.TimeoutExpired:
                pass
        for process in (self.daemon, self.bus):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        if pid:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.bus = self.daemon = None

    # -- asking -----------------------------------------------------------------------

    def call(self, name, path, method, *arguments, timeout=5):
        done = subprocess.run(
            ["gdbus", "call", "--session", "--timeout", str(timeout), "--dest", name,
             "--object-path", path, "--method", method, *arguments],
            env=self.full_environment(), capture_output=True, text=True,
            timeout=timeout + 5)
        return done.stdout + done.stderr

    def service(self, method, *arguments):
        return self.call("org.freedesktop.secrets", "/org/freedesktop/secrets",
                         "org.freedesktop.Secret.Service." + method, *arguments)

    def collection(self):
        return re.search(r"'(/[^']*)'", self.service("ReadAlias", "default")).group(1)

    def locked(self):
        """True, False, or None when nobody says."""
        found = re.search(r"'(/[^']*)'", self.service("ReadAlias", "default"))
        if not found or found.group(1) == "/":
            return None
        text = self.call("org.freedesktop.secrets", found.group(1),
                         "org.freedesktop.DBus.Properties.Get",
                         "org.freedesktop.Secret.Collection", "Locked")
        return {"(<true>,)": True, "(<false>,)": False}.get(text.strip())

    def lock(self):
        self.service("Lock", f"['{self.collection()}']")
        wait_for(lambda: self.locked() is True, 5)

    def items(self, name=None):
        """Attributes of our items: [{name, generation, database}]."""
        what = ["name", name] if name else ["xdg:schema", "org.streamhold.Secret"]
        done = subprocess.run(["secret-tool", "search", "--all", *what],
                              env=self.full_environment(), capture_output=True, text=True,
                              timeout=20)
        found, current = [], None
        for line in (done.stdout + "\n" + done.stderr).splitlines():
            match = re.match(r"attribute\.(name|generation|database) = (.*)", line)
            if match:
                found.append(match.groups())
        names = [value for key, value in found if key == "name"]
        generations = [value for key, value in found if key == "generation"]
        return list(zip(names, generations))

    def clear(self, name):
        subprocess.run(["secret-tool", "clear", "name", name], check=True, timeout=20,
                       env=self.full_environment())


def wait_for(condition, seconds, every=0.05):
    """Waits until it holds; how long that took."""
    return Stopwatch().wait(condition, seconds, every)
