"""`streamhold config`, `help`, `version` and the reading of command lines."""
import json
import os
import re
import subprocess

import pytest


@pytest.fixture
def run(build, folder):
    def run(*arguments, environment=None, output=subprocess.PIPE):
        result = subprocess.run(
            [build / "bin" / "streamhold", *map(str, arguments)], stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.PIPE, text=True, timeout=20, cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder),
                 "XDG_CONFIG_HOME": str(folder), **(environment or {}),
                 **{name: value for name, value in os.environ.items() if "SAN" in name}})
        assert "Sanitizer" not in result.stderr and "runtime error" not in result.stderr
        return result
    return run


def test_check_lists_every_problem(run, folder):
    path = folder / "c.json"
    path.write_text('{"server": {"prot": 1, "port": true},\n "logging": {"level": "loud"}}')
    result = run("config", "check", path)
    assert result.returncode == 1 and result.stdout == ""
    for word in ("prot", "server.port", "logging.level", str(path)):
        assert word in result.stderr
    document = json.loads(run("config", "check", path, "--json").stdout)
    assert document["format_version"] == 1 and document["valid"] is False
    assert {"server.prot", "server.port", "logging.level"} == \
        {problem["key"] for problem in document["errors"]}
    assert {problem["line"] for problem in document["errors"]} <= {0, 1, 2}


def test_check_of_a_good_file(run, folder):
    path = folder / "c.json"
    path.write_text('# fine\n{"server": {"port": 3002}}')
    result = run("config", "check", path)
    assert (result.returncode, result.stdout) == (0, f"{path}: valid\n")
    assert run("config", "check", "--config", path).returncode == 0
    document = json.loads(run("config", "check", path, "--json").stdout)
    assert document == {"format_version": 1, "file": str(path), "valid": True, "errors": [],
                        "warnings": []}


def test_check_of_a_missing_file(run, folder):
    result = run("config", "check", folder / "none.json")
    assert result.returncode == 1 and "none.json" in result.stderr


def test_check_without_a_file_takes_the_default_place(run, folder):
    assert run("config", "check").returncode == 0
    (folder / "streamhold").mkdir()
    (folder / "streamhold" / "config.json").write_text("{,}")
    assert run("config", "check").returncode == 1


def test_show_prints_what_is_in_force_and_can_be_loaded(run, folder):
    path = folder / "c.json"
    path.write_text('{"server": {"port": 3002}}')
    shown = run("config", "show", "--config", path).stdout
    assert json.loads(shown)["server"]["port"] == 3002
    (folder / "again.json").write_text(shown)
    assert run("config", "show", folder / "again.json").stdout == shown
    document = json.loads(run("config", "show", path, "--json").stdout)
    assert document["format_version"] == 1
    assert document["config"] == json.loads(shown)


def test_show_of_a_wrong_file(run, folder):
    (folder / "c.json").write_text("[]")
    result = run("config", "show", folder / "c.json")
    assert (result.returncode, result.stdout) == (1, "")
    assert "config check" in result.stderr


def test_schema(run):
    schema = json.loads(run("config", "schema").stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")
    document = json.loads(run("config", "schema", "--json").stdout)
    assert (document["format_version"], document["schema"]) == (1, schema)


def test_the_template_is_valid_changes_nothing_and_names_every_option(run, folder):
    text = run("config", "template").stdout
    path = folder / "t.json"
    path.write_text(text)
    assert run("config", "check", path).returncode == 0
    (folder / "empty.json").write_text("{}")
    assert run("config", "show", path).stdout == \
        run("config", "show", folder / "empty.json").stdout
    shown = json.loads(run("config", "show", folder / "empty.json").stdout)
    for section, options in shown.items():
        if section != "platforms" and isinstance(options, dict):
            for name in options:
                assert f'"{name}":' in text
    for unset in ("socket", "public_url", "state_dir", "key_file"):
        assert re.search(rf'^#\s+"{unset}":', text, re.M)
    assert max(map(len, text.splitlines())) <= 100


def test_options_of_the_template_can_be_switched_on_one_by_one(run, folder):
    lines = run("config", "template").stdout.splitlines()
    sections = {}
    section = None
    for number, line in enumerate(lines):
        found = re.match(r'  "(\w+)": \{', line)
        section = found.group(1) if found else section
        if re.match(r'#    "\w+":', line):
            sections.setdefault(section, []).append(number)
    assert len(sections) >= 3
    for section, numbers in sections.items():
        changed = list(lines)
        for number in numbers:
            changed[number] = changed[number][1:].replace('"text"', '"daemon"')
        path = folder / "t.json"
        path.write_text("\n".join(changed))
        result = run("config", "check", path)
        assert result.returncode == 0, result.stderr


# -- help, version, usage -------------------------------------------------------------


def test_help_names_every_verb_and_every_exit_status(run):
    for words in (["help"], ["--help"], ["-h"], []):
        result = run(*words)
        assert result.returncode == 0 and result.stderr == ""
        for verb in ("up", "status", "inspect", "app add", "app list", "app remove", "login",
                     "accounts", "events list", "config check", "config show",
                     "config schema", "config template", "config units", "version", "help"):
            assert f"\n  {verb} " in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 88


def test_help_of_a_verb(run):
    for words in (["help", "app"], ["app", "--help"]):
        assert run(*words).stdout.count("usage: streamhold app ") == 3
    for words in (["help", "app", "add"], ["app", "add", "-h"], ["app", "add", "kick", "-h"]):
        text = run(*words).stdout
        assert "usage: streamhold app add PLATFORM" in text and "--secret-stdin" in text
    assert run("help", "dance").returncode == 2


def test_version(run):
    for words in (["version"], ["--version"], ["-V"], ["up", "--version"]):
        assert re.fullmatch(r"streamhold \d+\.\d+\.\d+\S*\ncommit ([0-9a-f]{40}|unknown)\n"
                            r"built with (\w[\w-]* [\d.]+\S*(, |\n)){7}", run(*words).stdout)
    document = json.loads(run("version", "--json").stdout)
    assert document["commit"] in run("version").stdout
    assert document["libraries"] in run("version").stdout
    assert document["format_version"] == 1 and len(document["protocol"]) == 16


@pytest.mark.parametrize("words,meant", [
    (["stats"], "status"), (["logn", "kick", "x"], "login"), (["app", "lst"], "app list"),
    (["event", "list"], "events list"), (["config", "chek"], "config check"),
    (["status", "--jsno"], "--json"), (["app", "add", "kick", "--client-di", "x"],
                                       "--client-id")])
def test_what_was_mistyped_is_suggested(run, words, meant):
    result = run(*words)
    assert result.returncode == 2 and result.stdout == ""
    assert f"did you mean" in result.stderr and meant in result.stderr


@pytest.mark.parametrize("words", [
    ["dance"], ["app"], ["events"], ["status", "now"], ["status", "--adopt"],
    ["status", "--config"], ["status", "--json=yes"], ["version", "-x"], ["up", "--role", "x"],
    ["x"] * 100])
def test_usage_errors_are_status_2_and_name_a_command(run, words):
    result = run(*words)
    assert result.returncode == 2 and result.stdout == ""
    assert "streamhold " in result.stderr


def test_half_a_verb_lists_the_rest(run):
    text = run("app").stderr
    assert all(f"streamhold app {word}" in text for word in ("add", "list", "remove"))


def test_output_that_cannot_be_written_is_no_success(run):
    with open("/dev/full", "w") as full:
        assert run("help", output=full).returncode == 1
        assert run("config", "schema", output=full).returncode == 1


# -- finding the socket ---------------------------------------------------------------


def test_the_socket_is_looked_for_in_the_usual_places(run, folder):
    result = run("accounts", environment={"XDG_RUNTIME_DIR": str(folder)})
    assert result.returncode == 3
    assert f"{folder}/streamhold" in result.stderr and "/run/streamhold" in result.stderr


def test_the_configured_runtime_folder_is_where_the_socket_is(run, folder):
    path = folder / "c.json"
    path.write_text(json.dumps({"paths": {"runtime_dir": str(folder / "elsewhere")}}))
    result = run("accounts", "--config", path)
    assert result.returncode == 3
    assert f"{folder}/elsewhere/broker.sock" in result.stderr
    result = run("accounts", "--system", "--config", path)
    assert f"{folder}/elsewhere/broker.sock" in result.stderr


def test_a_wrong_configuration_is_said_before_looking(run, folder):
    (folder / "c.json").write_text('{"x": 1}')
    result = run("accounts", "--config", folder / "c.json")
    assert result.returncode == 1 and "config check" in result.stderr


@pytest.mark.parametrize("program", ["streamhold", "streamhold-broker", "streamhold-httpd",
                                     "streamhold-vault"])
def test_every_program_has_a_version_a_help_and_a_check(build, folder, program):
    def run(*arguments):
        return subprocess.run([build / "bin" / program, *arguments], capture_output=True,
                              text=True, timeout=20, cwd=folder)

    assert run("--version").stdout.startswith(program + " ")
    for option in ("--help", "-n"):
        done = run(option)
        assert done.returncode == 0 and done.stderr == "", done
    assert " -n" in run("--help").stdout
    good, bad = folder / "good.json", folder / "bad.json"
    good.write_text("{}")
    bad.write_text('{"server": {"prot": 1}}')
    if program == "streamhold-vault":   # it reads none
        return
    assert run("-n", "--config", good).returncode == 0
    done = run("-n", "--config", bad)
    assert done.returncode == 1 and "server.prot" in done.stderr
