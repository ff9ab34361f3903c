"""The key that the package makes on its installation, sealed by a TPM: one in software."""
import os
import re
import shutil
import socket
import subprocess
import time

import pytest

from tests.conftest import ROOT
from tests.lib import ports

PROGRAMS = ("swtpm", "systemd-creds")
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may seal credentials"),
    pytest.mark.skipif(not all(map(shutil.which, PROGRAMS)), reason=f"needs {PROGRAMS}")]


class Tpm:
    def __init__(self, folder):
        folder.mkdir()
        self.port = ports.steady(2)     # its clients look for the second behind the first
        self.process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}", "--server",
             f"type=tcp,port={self.port},disconnect", "--ctrl", f"type=tcp,port={self.port + 1}",
             "--flags", "not-need-init"])
        self.device = f"--tpm2-device=swtpm:host=127.0.0.1,port={self.port}"
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("the TPM does not listen")

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def tpm(tmp_path):
    found = []

    def make(name):
        found.append(Tpm(tmp_path / name))
        return found[-1]

    yield make
    for one in found:
        one.stop()


def opened(key, tpm):
    return subprocess.run(["systemd-creds", "decrypt", "--name=streamhold.kek", tpm.device, key, "-"],
                          capture_output=True)


class Installation:
    """The scripts' part that makes the key, with folders of its own and the TPM of the test, and
    the TPM alone: on a machine of the user's systemd takes both where it can."""

    def __init__(self, folder, script, tpm):
        self.folder, self.script = folder, script
        self.key = folder / "credstore/streamhold.kek"
        (folder / "bin").mkdir()
        real = shutil.which("systemd-creds")
        wrapper = folder / "bin/systemd-creds"
        wrapper.write_text(f'''#!/bin/sh
case $* in
*--with-key=auto*) exec {real} "$@" --with-key=tpm2 {tpm.device} ;;
*--with-key=*) exit 1 ;;
*) exec {real} "$@" {tpm.device} ;;
esac
''')
        wrapper.chmod(0o755)

    def run(self):
        text = self.script.replace("/etc/credstore.encrypted", str(self.key.parent)).replace(
            "/var/lib/streamhold", str(self.folder / "state")).replace(
            "/run/systemd/system", str(self.folder))
        done = subprocess.run(["sh", "-ec", text], capture_output=True, text=True, env={
            **os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}"})
        assert done.returncode == 0, done.stderr
        return done.stderr


def deb_script():
    text = (ROOT / "packaging/deb/postinst").read_text()
    return re.search(r"^make_key\(\) \{.*?^\}$", text, re.M | re.S)[0] + "\nmake_key\n"


def rpm_script():
    text = (ROOT / "packaging/rpm/streamhold.spec").read_text()
    return re.search(r"^key=.*?^fi$", text, re.M | re.S)[0] + "\n"


@pytest.mark.parametrize("script", [deb_script, rpm_script])
def test_the_key_is_sealed_by_the_tpm_and_opens_again(script, tpm, tmp_path):
    own = tpm("own")
    installation = Installation(tmp_path, script(), own)
    assert installation.run() == ""
    key = installation.key
    assert oct(key.stat().st_mode & 0o777) == "0o600" and [key] == list(key.parent.iterdir())
    found = opened(key, own)
    assert len(found.stdout) == 32, found.stderr
    # Another machine's TPM does not open it, and no second key takes its place.
    assert opened(key, tpm("other")).returncode != 0
    sealed = key.read_bytes()
    installation.run()
    assert key.read_bytes() == sealed
