"""The system's units line by line: what a score sums up, and what it does not look at."""
import re

import pytest

from tests.conftest import ROOT

UNITS = ROOT / "packaging/systemd"
ALL = {
    # Life: it tells when it is ready, and that it lives; whatever ends it, it comes back.
    "Type": ["notify"], "NotifyAccess": ["main"], "WatchdogSec": ["10"], "Restart": ["always"],
    "RestartSec": ["100ms"], "StartLimitIntervalSec": ["0"],
    # Rights.
    "AmbientCapabilities": [""], "CapabilityBoundingSet": [""], "NoNewPrivileges": ["yes"],
    "LockPersonality": ["yes"], "MemoryDenyWriteExecute": ["yes"], "RestrictNamespaces": ["yes"],
    "RestrictRealtime": ["yes"], "RestrictSUIDSGID": ["yes"], "SystemCallArchitectures": ["native"],
    "SystemCallErrorNumber": ["EPERM"],
    "SystemCallFilter": ["@system-service", "seccomp landlock_create_ruleset landlock_add_rule "
                         "landlock_restrict_self", "~@privileged @resources @obsolete"],
    # What it sees.
    "DevicePolicy": ["closed"], "KeyringMode": ["private"], "PrivateDevices": ["yes"],
    "PrivateIPC": ["yes"], "PrivateMounts": ["yes"], "PrivateTmp": ["yes"], "ProcSubset": ["pid"],
    "ProtectClock": ["yes"], "ProtectControlGroups": ["yes"], "ProtectHome": ["yes"],
    "ProtectHostname": ["yes"], "ProtectKernelLogs": ["yes"], "ProtectKernelModules": ["yes"],
    "ProtectKernelTunables": ["yes"], "ProtectProc": ["invisible"], "ProtectSystem": ["strict"],
    "RemoveIPC": ["yes"], "UMask": ["0077"],
    # What it takes.
    "CPUSchedulingPolicy": ["batch"], "LimitCORE": ["0"], "MemoryMax": ["256M"], "MemorySwapMax": ["0"],
}
FRONT = {"RestartPreventExitStatus": ["1"], "InaccessiblePaths": ["-/var/lib/streamhold"],
         "IPAddressDeny": ["any"], "LimitNOFILE": ["65536"], "OOMScoreAdjust": ["-250"],
         "PrivateNetwork": ["yes"], "RestrictAddressFamilies": ["AF_UNIX"], "TasksMax": ["16"],
         "TimeoutStopSec": ["15"]}
OWN = {
    "streamhold-api.service": {**FRONT, "User": ["streamhold-api"], "Group": ["streamhold-api"]},
    "streamhold-webhook.service": {**FRONT, "User": ["streamhold-hook"],
                                   "Group": ["streamhold-hook"]},
    "streamhold-broker.service": {
        "User": ["streamhold"], "Group": ["streamhold"], "StateDirectory": ["streamhold"],
        "StateDirectoryMode": ["0700"], "LoadCredentialEncrypted": ["streamhold.kek"],
        "LimitMEMLOCK": ["8M"], "OOMScoreAdjust": ["-500"], "TasksMax": ["32"],
        "TimeoutStopSec": ["20"], "TimeoutStartSec": ["300"], "RestartPreventExitStatus": ["1 65"],
        "RestrictAddressFamilies": ["AF_UNIX AF_INET AF_INET6"],
        # Not all link-local addresses: home routers give them to name servers.
        "IPAddressDeny": ["169.254.0.0/16 fd00:ec2::254 multicast"],
        "SystemCallFilter": [*ALL["SystemCallFilter"], "sched_setaffinity"]},
}
# In a user namespace every other user is nobody, and both ends of a link look at the other's.
NEVER = {"PrivateUsers", "DynamicUser"}
# What wires it up: the tests of a running machine hold these.
WIRING = {"Description", "Documentation", "PartOf", "Requires", "After", "Wants", "WantedBy",
          "ExecStart", "ExecReload", "ExecStopPost"}


def directives(file):
    """{name: [values]} of all sections."""
    found = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", file.read_text(), re.M):
        found.setdefault(name, []).append(value)
    return found


def test_there_are_no_other_services():
    assert {file.name for file in UNITS.glob("*.service")} == set(OWN)


@pytest.mark.parametrize("unit", OWN)
def test_every_directive_is_as_it_was_decided(unit):
    """None is missing, none is another, and none was added without a word here."""
    found = directives(UNITS / unit)
    assert not NEVER & set(found)
    wanted = {**ALL, **OWN[unit]}
    assert {name: values for name, values in found.items() if name not in WIRING} == wanted
