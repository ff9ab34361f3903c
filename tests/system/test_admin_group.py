"""Who may use the command, and how many at once: members of the group `streamhold` in system mode,
others not.

The group exists in a mount namespace of the test's own, so the machine is left alone.
"""
import json
import os
import socket
import subprocess

import pytest

GROUP = 4242
SCRIPT = r"""
set -eu
mount --bind "$1/group" /etc/group
cp "$2/streamhold" "$1/command" # the build may lie where others cannot enter
"$2/streamhold" up --system --config "$1/config.json" >"$1/log" 2>&1 &
up=$!
for _ in $(seq 200); do
	grep -q "listening api=" "$1/log" && break
	sleep 0.05
done
ask() {
	status=0
	setpriv --reuid=65534 --regid=65534 "$@" >/dev/null 2>&1 || status=$?
	echo "$status"
}
ask --groups=4242 "$1/command" --socket "$1/run/broker.sock" status
ask --clear-groups "$1/command" --socket "$1/run/broker.sock" status
kill "$up"
wait "$up"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="making users needs root")
def test_members_of_the_group_may_use_the_command(plain, folder):
    folder.chmod(0o755)
    with open("/etc/group", encoding="utf-8") as file:
        groups = [line for line in file if not line.startswith("streamhold:")]
    (folder / "group").write_text("".join(groups) + f"streamhold:x:{GROUP}:\n")
    (folder / "config.json").write_text(json.dumps({
        "server": {"port": 0}, "webhooks": {"port": 0}, "keystore": {"backend": "file"},
        "paths": {"state_dir": str(folder / "state"), "runtime_dir": str(folder / "run")}}))
    done = subprocess.run(["unshare", "-m", "bash", "-c", SCRIPT, "sh", str(folder),
                           str(plain / "bin")], capture_output=True, text=True, timeout=60)
    if "unshare" in done.stderr and "not permitted" in done.stderr:
        pytest.skip("namespaces cannot be made here")
    log = (folder / "log").read_text()
    assert done.returncode == 0, done.stderr + log
    assert done.stdout.split() == ["0", "1"], log


MOST = 64       # ADMIN_CLIENTS_MAX


def test_a_command_too_many_waits_for_its_turn(streamhold, folder):
    """It is not told that it is not allowed."""
    daemon = streamhold()
    others = []
    for _ in range(MOST):
        others.append(socket.socket(socket.AF_UNIX))
        others[-1].connect(str(folder / "run" / "broker.sock"))
    daemon.wait_log(f"{MOST} commands at once")
    asking = subprocess.Popen([daemon.program("streamhold"), "--config", str(daemon.config_file),
                               "status"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with pytest.raises(subprocess.TimeoutExpired):
        asking.communicate(timeout=0.5)
    others.pop().close()
    out, said = asking.communicate(timeout=10)
    assert asking.returncode == 0 and "broker" in out, said
    for one in others:
        one.close()
