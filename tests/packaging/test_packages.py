"""What is in the packages: lint, hardening, contents, versions, the same bytes twice."""
import gzip
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess

import pytest

from tests.conftest import ROOT
from tests.packaging.conftest import build_packages, fingerprint
from tests.packaging.machine import PROGRAMS

# The scores of `systemd-analyze security` that may not be exceeded, times ten.
GATES = {"streamhold-api.service": 5, "streamhold-webhook.service": 5,
         "streamhold-broker.service": 15}
# The first of Debian 12 with the fixes of its HTTP and DNS code.
LIBEVENT_FIXED = "2.1.12-stable-8+deb12u1"
LANDINGS_MIN = 50           # without -fcf-protection there are a few, of the C library's start
in_the_long_run_only = pytest.mark.skipif(not os.environ.get("STREAMHOLD_LONG"),
                                          reason="the long run builds the rpm more often")


def said(*words, **options):
    return subprocess.run([str(one) for one in words], check=True, capture_output=True, text=True,
                          **options).stdout


def version():
    return said("packaging/version", cwd=ROOT).split()[0]


def test_lintian_finds_no_error(packages):
    found = subprocess.run(["lintian", "--allow-root", "--fail-on", "error", packages.deb],
                           capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


def test_rpmlint_finds_no_error(packages):
    found = subprocess.run(["rpmlint", "--rpmlintrc", ROOT / "packaging/rpm/rpmlintrc", packages.rpm],
                           capture_output=True, text=True)
    assert re.search(r" 0 errors", found.stdout), found.stdout + found.stderr


@pytest.fixture(scope="session")
def unpacked_rpm(packages, tmp_path_factory):
    """The files of the rpm, in a folder."""
    folder = tmp_path_factory.mktemp("rpm")
    said("rpm2archive", shutil.copy(packages.rpm, folder))
    archive, = folder.glob("*.tgz")
    said("tar", "-x", "-f", archive, "-C", folder)
    return folder


@pytest.fixture(params=["deb", "rpm"])
def files(request):
    return request.getfixturevalue({"deb": "unpacked", "rpm": "unpacked_rpm"}[request.param])


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_are_hardened(files, program):
    # Control flow integrity is asked of a note that Debian's own start-up code lacks.
    found = subprocess.run(["hardening-check", "--nocfprotection", files / program],
                           capture_output=True, text=True)
    assert found.returncode == 0 and "Position Independent Executable: yes" in found.stdout, \
        found.stdout
    if platform.machine() == "x86_64":      # so it is counted where indirect calls may land
        landings = said("objdump", "-d", "--no-show-raw-insn", files / program).count("endbr64")
        assert landings > LANDINGS_MIN


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_are_no_build_for_tests(files, program):
    """Which says more than a locked-down process may, and keeps secrets in memory alone."""
    raw = (files / program).read_bytes()
    for trace in (b"is not allowed, the process dies", b"asan", b"ubsan"):
        assert trace not in raw, trace


def test_sizes_are_checked_at_run_time_too(plain):
    """Whatever flags the build was started with; gcc 12 and later know level 3."""
    asked = {re.findall(r"-D_FORTIFY_SOURCE=(\d)", row["command"])[-1]
             for row in json.loads((plain / "compile_commands.json").read_text())}
    compiler = int(said("cc", "-dumpversion").split(".")[0])
    assert asked == {"3" if compiler >= 12 else "2"}


@pytest.mark.parametrize("own, wanted", [("", "3"), ("-D_FORTIFY_SOURCE=2", "3"),
                                         ("-D_FORTIFY_SOURCE=3", "3"),
                                         ("-D_FORTIFY_SOURCE=4", "4")])
def test_a_distribution_s_own_check_of_sizes_is_not_lowered(own, wanted, tmp_path):
    said("cmake", "-S", ROOT, "-B", tmp_path, "-G", "Ninja", f"-DCMAKE_C_FLAGS=-O2 {own}",
         "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON")
    for row in json.loads((tmp_path / "compile_commands.json").read_text()):
        assert re.findall(r"-D_FORTIFY_SOURCE=(\d)", row["command"])[-1] == wanted


def changelog(unpacked):
    return gzip.open(unpacked / "usr/share/doc/streamhold/changelog.gz", "rt").read()


def test_the_changelog_holds_whole_sentences(unpacked):
    text = changelog(unpacked)
    assert max(len(line) for line in text.splitlines() if line.startswith("  ")) < 80
    told = {" ".join(item.split()) for item in re.split(r"^  \* |^ -- ", text, flags=re.M)}
    tag = subprocess.run(["git", "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^"],
                         cwd=ROOT, capture_output=True, text=True).stdout.strip()
    subjects = said("git", "log", "--no-merges", "-n", "40", "--format=%s",
                    f"{tag}..HEAD" if tag else "HEAD", cwd=ROOT).splitlines()
    assert subjects and {" ".join(one.split()) for one in subjects} <= told


@pytest.fixture
def without_dpkg(tmp_path):
    """A PATH in which no program of dpkg is, as on the systems that the rpm is for."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for place in ("/usr/bin", "/usr/sbin"):
        for program in pathlib.Path(place).iterdir():
            if not program.name.startswith(("dpkg", "apt", "dh", "debconf")) and \
                    not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program)
    return {**os.environ, "PATH": str(folder)}


def test_the_bill_of_materials_needs_no_dpkg(plain, without_dpkg):
    document = json.loads(said(ROOT / "packaging/sbom", plain / "bin", "1", "c", "0",
                               env=without_dpkg))
    assert len(document["components"]) > 5


@in_the_long_run_only
def test_where_there_is_no_dpkg_the_rpm_alone_is_built(without_dpkg, tmp_path):
    said("packaging/build-packages", "--out", tmp_path / "out", cwd=ROOT, env=without_dpkg)
    assert {file.suffix for file in (tmp_path / "out").iterdir()} == {".rpm", ".log"}


@pytest.mark.parametrize("unit", GATES)
def test_units_are_confined(unpacked, unit):
    file = next(unpacked.glob(f"*/systemd/system/{unit}"))
    found = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                            f"--threshold={GATES[unit]}", file], capture_output=True, text=True)
    score = re.search(r"exposure level for \S+: ([\d.]+)", found.stdout)
    assert score, found.stdout + found.stderr
    assert found.returncode == 0 and float(score[1]) * 10 <= GATES[unit], found.stdout


def test_every_program_has_its_page(unpacked):
    pages = {path.name: gzip.open(path, "rt").read()
             for path in unpacked.glob("usr/share/man/man*/*.gz")}
    assert set(pages) == {"streamhold.1.gz", "streamhold-config.5.gz", "streamhold-broker.8.gz",
                          "streamhold-httpd.8.gz", "streamhold-vault.8.gz"}
    verbs = re.findall(r"^\t\{ \"([a-z ]+)\",", (ROOT / "broker/cli/verbs.c").read_text(), re.M)
    assert len(verbs) > 20
    for verb in verbs:
        assert re.search(rf"^\.B {verb}( |$)", pages["streamhold.1.gz"], re.M), verb
    schema = json.loads(said(unpacked / PROGRAMS[0], "config", "schema"))
    for section, options in schema["properties"].items():
        for name in options.get("properties", {}):
            assert f".B {section}.{name}" in pages["streamhold-config.5.gz"]
    for path in unpacked.glob("usr/share/man/man*/*.gz"):
        shown = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", path],
                               capture_output=True, text=True, env={**os.environ, "MANWIDTH": "80"})
        assert shown.returncode == 0 and shown.stderr == "", path.name


def test_every_program_says_its_version(unpacked):
    for program in PROGRAMS:
        first, commit, libraries = said(unpacked / program, "--version").splitlines()
        assert first == f"{program.rpartition('/')[2]} {version()}"
        assert commit == "commit " + said("git", "rev-parse", "HEAD", cwd=ROOT).strip()
        assert re.fullmatch(r"built with (\S+ \d[\w.-]*(, )?){7}", libraries)


def test_bill_of_materials_names_what_is_linked(unpacked):
    path = unpacked / "usr/share/doc/streamhold/streamhold.cdx.json.gz"
    document = json.load(gzip.open(path))
    assert document["bomFormat"] == "CycloneDX" and document["specVersion"] == "1.5"
    assert document["metadata"]["component"]["version"] == version()
    found = {one["value"] for part in document["components"] for one in part["properties"]}
    for program in PROGRAMS:
        needed = re.findall(r"NEEDED.*\[(.*)\]", said("readelf", "-d", unpacked / program))
        assert needed and set(needed) <= found
    refs = {part["bom-ref"] for part in document["components"]}
    own = {f"{document['metadata']['component']['bom-ref']}#{name.rpartition('/')[2]}"
           for name in PROGRAMS}
    for row in document["dependencies"]:
        assert row["dependsOn"] and set(row["dependsOn"]) <= refs | own
    assert all(part["version"] != "unknown" for part in document["components"])


def test_dependencies_have_their_floors(packages):
    depends = said("dpkg-deb", "-f", packages.deb, "Depends")
    installed = said("dpkg-query", "-W", "-f=${Version}", "libevent-core-2.1-7")
    assert f"libevent-core-2.1-7 (>= {installed})" in depends
    subprocess.run(["dpkg", "--compare-versions", installed, "ge", LIBEVENT_FIXED], check=True)
    for name in ("libcurl4", "libssl3", "libsqlite3-0", "libjansson4", "libmsgpackc2",
                 "libsecret-1-0", "ca-certificates"):
        assert name in depends


def test_packages_hold_the_same_files(packages, unpacked):
    """Debian has other places for a few kinds of files, and compresses other pages."""
    def named(names):
        plain = {re.sub(r"\.gz$", "", name) for name in names}
        return {re.sub("^/lib/systemd", "/usr/lib/systemd", name).replace(
            "vendor-completions", "site-functions") for name in plain
            if "/share/doc/" not in name and "/licenses/" not in name}
    deb = {f"/{path.relative_to(unpacked)}" for path in unpacked.rglob("*") if path.is_file()}
    rpm = {line.split()[-1] for line in said("rpm", "-qplv", packages.rpm).splitlines()
           if not line.startswith("d")}
    assert len(named(deb)) > 30 and named(deb) == named(rpm)


def test_packages_tell_what_is_in_them(files):
    """An example with comments, the licence, and of what the programs are made. The changelog of
    the rpm is in its head."""
    shared = files / "usr/share/doc/streamhold"
    example = (shared / "examples/config.json").read_text()
    assert example.count("\n#") + example.startswith("#") > 20
    assert re.search("^#", (files / "etc/streamhold/config.json").read_text(), re.M)
    licences = [*files.glob("usr/share/licenses/streamhold*/LICENSE"), shared / "copyright"]
    assert any("MIT" in one.read_text() for one in licences if one.exists())
    bill, = shared.glob("streamhold.cdx.json*")
    read = gzip.open if bill.suffix == ".gz" else open
    with read(bill, "rt") as text:
        names = {one["name"] for one in json.load(text)["components"]}
    for library in ("libevent", "libsqlite3", "libssl", "libcurl", "libsecret"):
        assert any(name.startswith(library) for name in names), (library, names)


def test_the_changelog_of_the_rpm(packages):
    assert said("rpm", "-qp", "--changelog", packages.rpm).startswith("* ")


def test_rpm_installs_into_a_root(packages, tmp_path):
    said("rpm", "--root", tmp_path, "--initdb")
    said("rpm", "--root", tmp_path, "--nodeps", "--noscripts", "-ivh", packages.rpm)
    for program in PROGRAMS:
        assert said(tmp_path / program, "--version").split()[1] == version()
    said("rpm", "--root", tmp_path, "--verify", "--nodeps", "streamhold")
    changed = tmp_path / "etc/streamhold/config.json"
    changed.write_text('{"server": {"port": 3100}}\n')
    said("rpm", "--root", tmp_path, "--nodeps", "--noscripts", "-Uvh", "--force", packages.rpm)
    assert "3100" in changed.read_text()
    said("rpm", "--root", tmp_path, "--nodeps", "--noscripts", "-e", "streamhold")
    assert not (tmp_path / "usr/bin/streamhold").exists()
    for script in ("%{POSTIN}", "%{PREUN}", "%{POSTUN}"):
        text = said("rpm", "-qp", "--qf", script, packages.rpm)
        assert "streamhold-broker.service" in text or "for name in api webhook broker" in text
        said("sh", "-n", input=text)


@pytest.mark.parametrize("kind", ["deb", pytest.param("rpm", marks=in_the_long_run_only)])
def test_two_builds_are_the_same_bytes(packages, kind, tmp_path):
    """In another folder, at another time."""
    first = getattr(packages, kind)
    again = build_packages(tmp_path / "elsewhere" / "deeper", kind)
    if fingerprint() != packages.fingerprint:
        pytest.skip("the sources changed while this was building")
    assert again.name == first.name and again.read_bytes() == first.read_bytes()
