"""Another Debian to build and test in, without booting it.

A command runs in systemd-nspawn on the release's workshop tree: the sources are mounted
read-only where they are, their folder build/ is one of this release's own, the network has
nothing but a loopback, and whatever else is written is gone afterwards. Needs root.
"""
import os
import pathlib
import subprocess

from tests.conftest import ROOT
from tests.packaging.machine import CONFINED, TREES, workshop_tree


def sources():
    """The folders that hold the sources and what git knows of them."""
    common = subprocess.run(["git", "rev-parse", "--path-format=absolute", "--git-common-dir"],
                            cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return {ROOT, pathlib.Path(common)} if common else {ROOT}


class Workshop:
    def __init__(self, release):
        self.release = release
        self.tree = workshop_tree(release)
        self.build = TREES / f"{release}-build"
        self.build.mkdir(exist_ok=True)

    def command(self, *command, **environment):
        # ROOT/build has to exist to be mounted on; git ignores it.
        (ROOT / "build").mkdir(exist_ok=True)
        binds = [f"--bind-ro={folder}" for folder in sorted(sources())]
        variables = {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive",
                     "PYTHONDONTWRITEBYTECODE": "1", **environment}
        return ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--as-pid2",
                "--volatile=overlay", "--private-network", *CONFINED, "--link-journal=no",
                f"--directory={self.tree}", *binds, f"--bind={self.build}:{ROOT}/build",
                f"--chdir={ROOT}", *(f"--setenv={name}={value}" for name, value in
                                     variables.items()), "--", *map(str, command)]

    def run(self, *command, timeout=1800, **environment):
        """What it said; the exit status must be 0."""
        log = self.build / "last.log"
        with open(log, "wb") as file:
            done = subprocess.run(self.command(*command, **environment), stdin=subprocess.DEVNULL,
                                  stdout=file, stderr=subprocess.STDOUT, timeout=timeout)
        said = log.read_text(errors="replace")
        assert done.returncode == 0, f"{' '.join(map(str, command))} in {self.release}: " \
            f"{done.returncode}, all of it in {log}\n{said[-6000:]}"
        return said

    def package(self):
        """The deb of these sources, built against this release's libraries."""
        self.run("packaging/build-packages", "--no-install", "--out", ROOT / "build/packages", "deb")
        found, = (one for one in (self.build / "packages").glob("*.deb")
                  if "dbgsym" not in one.name)
        return found

    def programs(self):
        """Builds programs and tests as users get them; the folder, as the workshop sees it."""
        folder = ROOT / "build/plain"
        jobs = str(os.cpu_count())
        self.run("sh", "-ec", f"cmake -S {ROOT} -B {folder} -G Ninja -DWERROR=ON -DTESTS=ON && "
                              f"ninja -C {folder} -j {jobs}")
        return folder
