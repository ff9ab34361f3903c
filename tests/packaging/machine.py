"""A small Debian that boots in systemd-nspawn, for the packages.

tree() bootstraps a release once, from the mirrors that this machine's apt uses, and keeps it
under build/; workshop_tree() is the same with all that building and testing needs. Every Machine
boots its own copy (an overlay), has a network of its own and nothing of it stays. Needs root.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

from tests.conftest import ROOT

TREES = ROOT / "build" / "trees"
# What a Debian with systemd has, beside what the package depends on; and what a user's own units
# need: a session bus and a keyring. rpm, for the scripts of the other package.
BASE = "systemd,systemd-sysv,dbus,ca-certificates,adduser,debconf"
DESKTOP = "dbus-user-session libpam-systemd gnome-keyring libsecret-tools rpm".split()
DEPENDS = {
    "bookworm": "ca-certificates libevent-core-2.1-7 libcurl4 libjansson4 libmsgpackc2 "
                "libqrencode4 libsecret-1-0 libsqlite3-0 libssl3".split(),
    "trixie": "ca-certificates libevent-core-2.1-7t64 libcurl4t64 libjansson4 libmsgpack-c2 "
              "libqrencode4 libsecret-1-0 libsqlite3-0 libssl3t64".split(),
}
# Packages that another release calls otherwise, or that the tests there do without.
OTHER_NAMES = {"trixie": {"libmsgpack-dev": "libmsgpack-c-dev"}}
LEFT_OUT = {"libclang-rt-14-dev", "clang", "chromium", "nodejs", "npm", "lintian", "rpmlint",
            "devscripts", "debootstrap", "systemd-container", "man-db", "rpm", "python3-venv", "swtpm",
            "libtss2-tcti-swtpm0", "libtss2-esys-3.0.2-0", "libtss2-mu0", "libtss2-rc0"}
# A machine's own rights, and the calls with which programs confine themselves.
CONFINED = ["--capability=all", "--system-call-filter=@memlock seccomp landlock_create_ruleset "
            "landlock_add_rule landlock_restrict_self"]
NSPAWN = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network",
          *CONFINED, "--link-journal=no", "--boot"]
BOOT_S = 60
PROGRAMS = ("usr/bin/streamhold", "usr/libexec/streamhold/streamhold-broker",
            "usr/libexec/streamhold/streamhold-httpd", "usr/libexec/streamhold/streamhold-vault")
SERVICES = ("streamhold-broker", "streamhold-api", "streamhold-webhook")


def can_boot():
    """None, or why no machine can be booted here."""
    if os.geteuid() != 0:
        return "only root can boot a machine"
    for program in ("systemd-nspawn", "debootstrap"):
        if not shutil.which(program):
            return f"{program} is not installed"
    return None


def apt_sources():
    """The sources of this machine's own release, in deb822 form: stanzas as dictionaries."""
    stanzas = []
    folder = pathlib.Path("/etc/apt/sources.list.d")
    for file in sorted(folder.glob("*.sources")):
        for text in re.split(r"\n\s*\n", file.read_text()):
            stanza = dict(re.findall(r"^([\w-]+):\s*(.+)$", text, re.M))
            if stanza.get("Types", "").startswith("deb"):
                stanzas.append(stanza)
    for file in [folder.parent / "sources.list", *sorted(folder.glob("*.list"))]:
        if file.is_file():
            for uri, suite, parts in re.findall(r"^deb\s+(?:\[.*?\]\s+)?(\S+)\s+(\S+)\s+(.*)$",
                                                file.read_text(), re.M):
                stanzas.append({"URIs": uri, "Suites": suite, "Components": parts})
    return stanzas


def sources_for(release):
    """The main mirror, and the lines of sources.list for a release, made from those of
    this machine."""
    own = re.search(r"VERSION_CODENAME=(\w+)", pathlib.Path("/etc/os-release").read_text())[1]
    lines, mirror = [], None
    for stanza in apt_sources():
        suites = stanza["Suites"].split()
        if "main" not in stanza.get("Components", "").split() or \
                not any(suite.split("-")[0] == own for suite in suites):
            continue
        for suite in suites:
            uri = stanza["URIs"].split()[0]
            mirror = mirror or (uri if suite == own else None)
            lines.append(f"deb {uri} {suite.replace(own, release)} main")
    return mirror, lines


def run_or_fail(*command, **options):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            **options)
    assert result.returncode == 0, f"{' '.join(map(str, command))}:\n{result.stdout[-4000:]}"
    return result.stdout


def install(folder, packages):
    """Updates a tree and installs packages into it, by its own apt."""
    shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")
    for words in (["update"], ["dist-upgrade"], ["install", *packages]):
        run_or_fail("chroot", folder, "apt-get", "-q", "-y", "--no-install-recommends", *words,
                    env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    run_or_fail("chroot", folder, "apt-get", "clean")
    shutil.rmtree(folder / "var/lib/apt/lists", ignore_errors=True)
    (folder / "etc/resolv.conf").unlink()


def tree(release="bookworm"):
    """The folder of a release, ready to boot, with all updates and what the package needs."""
    folder = TREES / release
    stamp = folder.with_suffix(".ready")
    wanted = " ".join([BASE, *DESKTOP, *DEPENDS[release]])
    if stamp.exists() and stamp.read_text() == wanted:
        return folder
    mirror, lines = sources_for(release)
    assert mirror, "apt has no source of this Debian on this machine"
    shutil.rmtree(folder, ignore_errors=True)
    TREES.mkdir(parents=True, exist_ok=True)
    run_or_fail("debootstrap", "--variant=minbase", f"--include={BASE}", release, folder, mirror)
    (folder / "etc/apt/sources.list").write_text("\n".join(lines) + "\n")
    install(folder, [*DESKTOP, *DEPENDS[release]])
    stamp.write_text(wanted)
    return folder


def workshop_packages(release):
    """What building and the tests need, by the names of that release."""
    names = OTHER_NAMES.get(release, {})
    found = ["python3-pytest-rerunfailures"]
    for file in ("packaging/debian-packages.txt", "packaging/debian-build-packages.txt",
                 "tests/debian-packages.txt"):
        for line in (ROOT / file).read_text().splitlines():
            name = line.partition("#")[0].strip()
            if name and name not in LEFT_OUT:
                found.append(names.get(name, name))
    return found


def workshop_tree(release):
    """A release's tree with a compiler and what the system's tests use."""
    base = tree(release)
    folder = TREES / f"{release}-workshop"
    stamp = folder.with_suffix(".ready")
    packages = workshop_packages(release)
    wanted = base.with_suffix(".ready").read_text() + " ".join(packages)
    if stamp.exists() and stamp.read_text() == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    run_or_fail("cp", "-a", "--reflink=auto", base, folder)
    install(folder, packages)
    stamp.write_text(wanted)
    return folder


class Machine:
    def __init__(self, folder, release="bookworm"):
        self.folder = pathlib.Path(folder)
        self.root = self.folder / "root"
        self.lower = tree(release)
        self.process = self.leader = None

    def __enter__(self):
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir()
        run_or_fail("mount", "-t", "overlay", "streamhold-test", "-o",
                    f"lowerdir={self.lower},upperdir={self.folder}/upper,"
                    f"workdir={self.folder}/work", self.root)
        try:
            self.boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def boot(self):
        self.console = open(self.folder / "console.log", "ab")
        self.process = subprocess.Popen([*NSPAWN, "--directory", self.root],
                                        stdin=subprocess.DEVNULL, stdout=self.console,
                                        stderr=subprocess.STDOUT)
        self.leader = self._wait(self._find_leader, "the machine did not start")
        self._wait(lambda: self.run("systemctl is-system-running", check=False).strip()
                   in ("running", "degraded"), "the machine did not boot")

    def _wait(self, ready, sentence):
        end = time.monotonic() + BOOT_S
        while time.monotonic() < end:
            found = ready()
            if found:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(sentence + ":\n" +
                             (self.folder / "console.log").read_text(errors="replace")[-3000:])

    def _find_leader(self):
        """The init of the machine: number 1 of a namespace below nspawn."""
        todo = [self.process.pid]
        while todo:
            pid = todo.pop()
            try:
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                if re.search(r"^NSpid:\s+\d+\s+1$", status, re.M):
                    return pid
                for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                    todo += map(int, (task / "children").read_text().split())
            except OSError:
                continue
        return None

    def inside(self, *command):
        """The command line that runs a command in the machine."""
        return ["nsenter", f"--target={self.leader}", "--mount", "--uts", "--ipc", "--net",
                "--pid", "--root", "--wd", *command]

    def run(self, script, check=True, timeout=120, user=None, **options):
        """Runs a line of shell in the machine; its output."""
        who = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
                       "DEBIAN_FRONTEND": "noninteractive", **options.pop("env", {})}
        result = subprocess.run(self.inside(*who, "sh", "-c", script), stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, timeout=timeout,
                                env=environment, errors="replace", **options)
        if check:
            assert result.returncode == 0, f"{script}: {result.returncode}\n{result.stdout}"
        return result.stdout

    def network(self, *command):
        """The command line of a program of ours that uses the machine's network only."""
        return ["nsenter", f"--target={self.leader}", "--net", *map(str, command)]

    def copy(self, file, place="/root"):
        """Puts a file into the machine; its path there."""
        shutil.copy(file, self.root / place.lstrip("/"))
        return f"{place}/{pathlib.Path(file).name}"

    def show(self, unit, name):
        return self.run(f"systemctl show --value --property={name} {unit}").strip()

    def main_pid(self, unit):
        """The main process as the machine numbers it."""
        return int(self.show(unit, "MainPID"))

    def journal(self, *options):
        return self.run("journalctl --no-pager --output=short-iso " + " ".join(options))

    def off(self):
        if self.process and self.process.poll() is None:
            if self.leader:
                os.kill(self.leader, signal.SIGRTMIN + 4)   # poweroff.target
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.leader = None

    def reboot(self):
        self.off()
        self.boot()

    def __exit__(self, *unused):
        self.off()
        subprocess.run(["umount", "--lazy", self.root], check=False)
        self.console.close()
        for name in ("upper", "work", "root"):
            shutil.rmtree(self.folder / name, ignore_errors=True)


def wait(ready, what, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ready():
            return
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {what}")


def overall(machine):
    """The word that `streamhold status` begins with, or None."""
    try:
        return json.loads(machine.run("streamhold status --json 2>/dev/null", check=False))["overall"]
    except ValueError:
        return None


def wait_ok(machine, seconds=15):
    wait(lambda: overall(machine) == "ok", "everything to be well", seconds)


def get(machine, url, seconds=10):
    """Status of a GET from within the machine; 0 when there is no answer."""
    found = subprocess.run(machine.network("curl", "-s", "--noproxy", "*", "-o", "/dev/null", "-w",
                                           "%{http_code}", "--max-time", str(seconds), url),
                           capture_output=True, text=True)
    return int(found.stdout or 0)


def stop_all(machine):
    """The target is stopped at once, its parts a moment later."""
    machine.run("systemctl stop streamhold.target")
    wait(lambda: not machine.run("systemctl list-units --no-legend --state=active,deactivating "
                                 "'streamhold*'"), "all units to stop")
