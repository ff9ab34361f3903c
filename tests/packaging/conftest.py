"""The packages, built once from the files as they are, and a machine that has them."""
import functools
import hashlib
import os
import shutil
import subprocess

import pytest

from tests.conftest import ROOT

OUT = ROOT / "build" / "packages-tested"


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
