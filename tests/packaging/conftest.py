"""The packages, built once from the files as they are, and a machine that has them."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

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


def build_packages(out, *kinds):
    result = subprocess.run(["packaging/build-packages", "--no-install", "--out", str(out), *kinds],
                            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert result.returncode == 0, result.stdout[-4000:]


class Packages:
    def __init__(self, folder):
        self.deb, = (one for one in folder.glob("*.deb") if "dbgsym" not in one.name)
        self.rpm, = folder.glob("*.rpm")


@pytest.fixture(scope="session")
def packages():
    """Both packages; files that did not change are not built again."""
    stamp, wanted = OUT / "fingerprint", fingerprint()
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(OUT, ignore_errors=True)
        build_packages(OUT)
        stamp.write_text(wanted)
    return Packages(OUT)


@pytest.fixture(scope="session")
def unpacked(packages, tmp_path_factory):
    """The files of the deb, in a folder."""
    folder = tmp_path_factory.mktemp("deb")
    subprocess.run(["dpkg-deb", "-x", packages.deb, folder], check=True)
    return folder


@pytest.fixture
def disk():
    """A folder on the disk of the sources: an overlay cannot lie on every file system."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="machine-", dir=ROOT / "build"))
    yield path
    shutil.rmtree(path, ignore_errors=True)
