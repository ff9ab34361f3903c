"""The packages, built once from the files as they are, and a machine that has them."""
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile

import pytest

from tests.conftest import ROOT
from tests.packaging.machine import Machine
from tests.packaging.workshop import Workshop

OUT = ROOT / "build" / "packages-tested"
RELEASE = "bookworm"        # what the packages are built on


def fingerprint():
    """Of everything that a package is made from: commit and files."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True,
                           capture_output=True).stdout.split(b"\0")
    digest = hashlib.sha256(subprocess.run(["packaging/version"], cwd=ROOT, check=True,
                                           capture_output=True).stdout)
    for name in sorted(filter(None, names)):
        file = ROOT / os.fsdecode(name)
        if not name.startswith(b"tests/") and file.is_file():
            digest.update(name + b"\0" + file.read_bytes())
    return digest.hexdigest()


def build_packages(out, kind, path=""):
    """Builds one kind of package; `path` comes before the PATH of the build."""
    result = subprocess.run(["packaging/build-packages", "--no-install", "--out", str(out), kind],
                            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env={**os.environ, "PATH": path + os.environ["PATH"]})
    assert result.returncode == 0, result.stdout[-4000:]
    found, = (one for one in out.glob(f"*.{kind}") if "dbgsym" not in one.name)
    return found


class Packages:
    """Each kind is built when it is first asked for, with ccache where there is one, and not
    again until a file has changed."""

    def __init__(self):
        self.fingerprint = fingerprint()

    def _build(self, kind):
        out = OUT / kind
        stamp = out / "fingerprint"
        if not stamp.exists() or stamp.read_text() != self.fingerprint:
            shutil.rmtree(out, ignore_errors=True)
            build_packages(out, kind, "/usr/lib/ccache:")
            stamp.write_text(self.fingerprint)
        found, = (one for one in out.glob(f"*.{kind}") if "dbgsym" not in one.name)
        return found

    @functools.cached_property
    def deb(self):
        return self._build("deb")

    @functools.cache
    def deb_for(self, release):
        """Built in that release: it names that release's libraries."""
        if release == RELEASE:
            return self.deb
        workshop = Workshop(release)
        stamp = workshop.build / "fingerprint"
        if not stamp.exists() or stamp.read_text() != self.fingerprint:
            stamp.unlink(missing_ok=True)
            workshop.package()
            stamp.write_text(self.fingerprint)
        found, = (one for one in (workshop.build / "packages").glob("*.deb")
                  if "dbgsym" not in one.name)
        return found

    @functools.cached_property
    def rpm(self):
        return self._build("rpm")


@pytest.fixture(scope="session")
def packages():
    return Packages()


@pytest.fixture(scope="session")
def unpacked(packages, tmp_path_factory):
    """The files of the deb, in a folder."""
    folder = tmp_path_factory.mktemp("deb")
    subprocess.run(["dpkg-deb", "-x", packages.deb, folder], check=True)
    return folder


in_the_long_run = pytest.mark.skipif(not os.environ.get("STREAMHOLD_LONG"),
                                     reason="the long run boots Debian 13 as well")


@pytest.fixture(scope="session", params=[
    "bookworm", pytest.param("trixie", marks=in_the_long_run)])
def machine(packages, request):
    """A fresh machine on which its release's package was installed; one boot for all tests."""
    folder = tempfile.mkdtemp(prefix="machine-", dir=ROOT / "build")
    try:
        package = packages.deb_for(request.param)
        with Machine(folder, request.param) as found:
            found.package = package
            found.deb = found.copy(package)
            found.installed = found.run(f"apt-get install -q -y {found.deb}")
            yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)
