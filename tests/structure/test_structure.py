"""Who links what, who includes what, what is generated is fresh, what is forbidden is absent."""
import json
import re
import subprocess

import pytest

from tests.conftest import ROOT

LIBRARIES = {
    # program: libraries it may need, beyond libc's own
    "streamhold-httpd": {"libevent_core", "libjansson", "libmsgpackc", "libmsgpack-c",
                         "libseccomp"},
    "streamhold-broker": {"libevent_core", "libjansson", "libmsgpackc", "libmsgpack-c",
                          "libseccomp", "libcurl", "libcrypto", "libsqlite3"},
    "streamhold": {"libevent_core", "libjansson", "libmsgpackc", "libmsgpack-c",
                   "libqrencode"},
    "streamhold-vault": {"libevent_core", "libjansson", "libmsgpackc", "libmsgpack-c",
                         "libsecret", "libglib", "libgobject", "libgio"},
}
LIBC = {"libc", "ld-linux-x86", "ld-linux-aarch64", "libpthread", "libm", "libdl"}

# header: the only files (by prefix) that may include it
OWNERS = {
    "curl/": ["broker/outbound/fetch"],
    "sqlite3.h": ["broker/store/store"],
    "seccomp.h": ["httpd/sandbox", "broker/sandbox", "common/sandbox"],
    "msgpack": ["proto/codec"],
    "qrencode.h": ["broker/cli/qr"],
    "gio/": [], "glib": [],
    "libsecret/": ["broker/vault/vault_helper"],
    "openssl/": ["common/crypto", "broker/events/kick_verify", "broker/events/kick_sign",
                 "broker/events/rsa_verify"],
}

FORBIDDEN_CALLS = {"strcpy", "strcat", "sprintf", "vsprintf", "strtok", "atoi", "atol",
                   "gets", "system", "popen", "signal", "strncpy"}

TOP_LEVEL = {"CMakeLists.txt", "httpd", "broker", "common", "proto", "tests", "packaging",
             "docs", "README.md", "LICENSE"}

LINES_A_FILE = 800
LINES_A_FUNCTION = 100


def tracked(*endings):
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    files = listed.stdout.splitlines() if listed.returncode == 0 else []
    if not files:       # a source archive
        files = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*")
                 if path.is_file() and "build" not in path.relative_to(ROOT).parts[:1]]
    return [name for name in files if name.endswith(endings) and (ROOT / name).is_file()]


def sources():
    return [name for name in tracked(".c", ".h", ".def") if not name.startswith("tests/")]


def includes(name):
    return re.findall(r'^#include [<"]([^>"]+)[>"]', (ROOT / name).read_text(), re.M)


def program(plain, name):
    path = plain / "bin" / name
    assert path.exists(), f"{name} is not built"
    return str(path)


@pytest.mark.parametrize("name", LIBRARIES)
def test_program_links_only_its_libraries(plain, name):
    listing = subprocess.run(["readelf", "-d", program(plain, name)], check=True,
                             capture_output=True, text=True).stdout
    needed = {re.sub(r"(-[\d.]+)?\.so.*$", "", one)
              for one in re.findall(r"NEEDED.*\[(.*)\]", listing)}
    assert "libevent_core" in needed
    assert needed - LIBC <= LIBRARIES[name]


@pytest.mark.parametrize("name", LIBRARIES)
def test_program_is_hardened(plain, name):
    """reliability.md 3.1: PIE, full RELRO, no executable stack, stack protector."""
    path = program(plain, name)

    def readelf(*what):
        return subprocess.run(["readelf", "-W", *what, path], check=True,
                              capture_output=True, text=True).stdout

    assert re.search(r"Type:\s+DYN", readelf("-h"))
    segments = readelf("-l")
    assert "GNU_RELRO" in segments
    assert re.search(r"GNU_STACK.*RW\s", segments)
    assert re.search(r"FLAGS.*(BIND_)?NOW", readelf("-d"))
    assert "__stack_chk_fail" in readelf("-s")
    assert re.search(r"__\w+_chk", readelf("-s").replace("__stack_chk_fail", ""))


@pytest.mark.parametrize("name", LIBRARIES)
def test_program_imports_no_forbidden_call(plain, name):
    symbols = subprocess.run(["nm", "-u", program(plain, name)], check=True,
                             capture_output=True, text=True).stdout
    imported = {re.sub(r"@.*", "", line.split()[-1]) for line in symbols.splitlines()}
    assert "write" in imported
    assert not imported & FORBIDDEN_CALLS


def test_each_library_has_one_home():
    wrong = [(name, header) for name in sources() for header in includes(name)
             for prefix, homes in OWNERS.items()
             if header.startswith(prefix) and not any(name.startswith(home) for home in homes)]
    assert not wrong


def test_rooms_include_only_what_is_below_them():
    """common <- proto <- httpd, broker; httpd and broker never each other."""
    below = {"common": {"common"}, "proto": {"common", "proto"},
             "httpd": {"common", "proto", "httpd"}, "broker": {"common", "proto", "broker"}}
    wrong = [(name, header) for name in sources() for header in includes(name)
             if "/" in header and header.split("/")[0] in below
             and header.split("/")[0] not in below[name.split("/")[0]]]
    assert not wrong


def test_the_command_uses_nothing_of_the_broker_but_its_own_folder():
    wrong = [(name, header) for name in sources() if name.startswith("broker/cli/")
             for header in includes(name)
             if header.startswith("broker/") and not header.startswith("broker/cli/")]
    assert not wrong


def test_sql_lives_in_the_store():
    statement = re.compile(r'"\s*(SELECT|INSERT|UPDATE|DELETE FROM|CREATE TABLE|PRAGMA)\b')
    wrong = [name for name in sources() if not name.startswith("broker/store/")
             and statement.search((ROOT / name).read_text())]
    assert not wrong


def test_platform_names_stay_in_their_files_and_tables():
    """A quoted platform name in code is a special case in the making."""
    name_of = re.compile(r'"(kick|twitch|youtube)"')
    allowed = re.compile(r"/platform_\w+\.c$|/platforms\.c$|\.def$|^broker/cli/|/config_\w+\.c$"
                         r"|^common/config\w*\.[ch]$")
    wrong = []
    for file in sources():
        text = re.sub(r"/\*.*?\*/", "", (ROOT / file).read_text(), flags=re.S)
        if name_of.search(text) and not allowed.search(file):
            wrong.append(file)
    assert not wrong


def test_protocol_page_is_fresh(plain):
    made = subprocess.run([program(plain, "streamhold-proto-doc")], check=True,
                          capture_output=True, text=True).stdout
    assert (ROOT / "docs/protocol.md").read_text() == made, \
        "run build/bin/streamhold-proto-doc > docs/protocol.md"


def messages():
    text = (ROOT / "proto/messages.def").read_text()
    return re.findall(r"^MESSAGE\((\w+), (\d+), (\w+), (\w+),", text, re.M)


def test_every_message_to_the_broker_has_one_handler():
    rows = re.findall(r"\{ MSG_(\w+),", (ROOT / "broker/dispatch.c").read_text())
    wanted = [name for name, _, direction, _ in messages() if direction == "TO_BROKER"]
    assert len(wanted) > 10
    assert sorted(rows) == sorted(wanted)


def test_every_message_to_the_keystore_helper_has_one_handler():
    rows = re.findall(r"\{ MSG_(\w+),", (ROOT / "broker/vault/vault_helper.c").read_text())
    wanted = [name for name, _, direction, _ in messages() if direction == "TO_VAULT"]
    assert len(wanted) > 3
    assert sorted(rows) == sorted(wanted)


def test_every_request_is_used_and_every_answer_sent():
    code = "".join((ROOT / name).read_text() for name in sources())
    unused = [name for name, *_ in messages() if f"MSG_{name}" not in code]
    assert not unused


def test_top_level_holds_nothing_else():
    found = {name.split("/")[0] for name in tracked("")}
    assert {name for name in found if not name.startswith(".")} <= TOP_LEVEL


def test_no_machine_paths_or_registries():
    bad = re.compile(r"/work/main|/work/shared|\.\./shared|bash_jobs|pypi\.org|registry\.npmjs|"
                     r"deb\.debian\.org|crates\.io", re.I)
    own = "tests/structure/test_structure.py"
    wrong = [name for name in tracked("") if name != own and not name.endswith((".pem", ".png"))
             and "/corpus/" not in name
             and bad.search((ROOT / name).read_text(errors="replace"))]
    assert not wrong


def test_packages_of_npm_are_exact_and_checked():
    """Each has a version and a checksum, and no address, which would be that of somebody's
    registry."""
    folder = ROOT / "tests/npm"
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    lock = json.loads((folder / "package-lock.json").read_text())
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert set(wanted) <= {name.removeprefix("node_modules/") for name in packages}
    for name, version in wanted.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), (name, version)
        assert packages[f"node_modules/{name}"]["version"] == version
    for name, one in packages.items():
        assert one["version"] and one["integrity"].startswith("sha512-"), name
    assert "resolved" not in json.dumps(lock) and "://" not in json.dumps(lock)


def functions(name):
    """(name, lines) of each function of a C file in our form: the name stands at the
    start of a line, the body between braces at the start of lines."""
    lines = (ROOT / name).read_text().splitlines()
    start = None
    for number, line in enumerate(lines):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            back = start
            while back > 0 and not re.match(r"^\w+\(", lines[back]):
                back -= 1
            yield lines[back].split("(")[0], number - start + 1
            start = None


def test_files_and_functions_stay_short():
    long_files = [(name, len((ROOT / name).read_text().splitlines())) for name in sources()]
    long_functions = [(name, function, length) for name in sources() if name.endswith(".c")
                      for function, length in functions(name)]
    print("longest files:", sorted(long_files, key=lambda one: -one[1])[:10])
    print("longest functions:", sorted(long_functions, key=lambda one: -one[2])[:10])
    assert len(long_functions) > 100
    assert not [one for one in long_files if one[1] > LINES_A_FILE]
    assert not [one for one in long_functions if one[2] > LINES_A_FUNCTION]


def test_headers_stand_alone(plain, tmp_path):
    """Each header compiles by itself."""
    flags = subprocess.run(["pkg-config", "--cflags", "libevent_core", "jansson", "sqlite3"],
                           check=True, capture_output=True, text=True).stdout.split()
    wrong = []
    for name in sources():
        # A header that is included for its table only is no header of declarations.
        if not name.endswith(".h"):
            continue
        done = subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-fsyntax-only",
                               "-I", str(ROOT), *flags, "-include", name, "-x", "c",
                               "/dev/null"], cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            wrong.append((name, done.stderr.splitlines()[:1]))
    assert not wrong


