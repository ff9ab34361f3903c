"""The verbs of the command that ask the broker: what they say, in text and in JSON."""
import json
import os

import pytest

from tests.system.cli_broker import ACCOUNT, NOW, AdminBroker, failed, health, reports

DATE = "2026-01-18T10:00:00.000Z"
HOW_TO_START = "streamhold up  (or: systemctl start streamhold.target)"


@pytest.fixture
def broker(folder, build):
    broker = AdminBroker(folder, build)
    yield broker
    broker.close()


def as_json(result):
    document = json.loads(result.stdout)
    assert document["format_version"] == 1
    return document


# -- status ---------------------------------------------------------------------------


def test_status_says_one_word_first_and_where_things_are(broker):
    result = broker.run("status")
    assert result.returncode == 0 and result.stderr == ""
    assert result.stdout.splitlines()[0].split() == ["ok", "streamhold", "1.2.3"]
    assert "http://localhost:34567" in result.stdout
    assert "http://127.0.0.1:34568/webhooks/kick" in result.stdout
    assert "Streamer123" in result.stdout


def test_status_as_json_has_the_real_ports(broker):
    document = as_json(broker.run("status", "--json"))
    assert document["overall"] == "ok" and document["version"] == "1.2.3"
    assert document["api_url"] == "http://localhost:34567"
    assert (document["api_port"], document["webhook_port"]) == (34567, 34568)
    assert document["redirect_uris"]["kick"].endswith("/oauth/callback/kick")
    assert document["redirect_uris"]["twitch"] is None
    assert document["components"]["server"] == {"state": "healthy", "detail": ""}
    assert document["components"]["database"]["state"] == "healthy"
    account = document["accounts"][0]
    assert account["username"] == "Streamer123" and account["expires_at"] == DATE
    assert account["scope"] == ["user:read", "channel:read"]
    assert account["missing_scope"] == [] and account["needs_login"] is False


def test_a_sick_component_makes_it_degraded(broker):
    broker.answers["health_get"] = health(broker="healthy", keystore="unhealthy")
    result = broker.run("status")
    assert result.returncode == 0
    assert result.stdout.startswith("degraded")
    assert "keystore       unhealthy: keystore is ill" in result.stdout
    assert broker.run("status", "--check").returncode == 7
    assert as_json(broker.run("status", "--json"))["overall"] == "degraded"


def test_a_missing_api_front_makes_it_degraded(broker):
    broker.answers["report_get"] = reports([("fronts", "api.connected", "no", False)])
    document = as_json(broker.run("status", "--json"))
    assert document["overall"] == "degraded"
    assert document["components"]["server"]["state"] == "unhealthy"
    assert document["api_url"] is None and document["api_port"] is None


@pytest.mark.parametrize("change, word, code", [
    ({"status": "valid"}, "ok", 0),
    ({"status": "expired", "refreshable": True}, "degraded", 7),
    ({"status": "expired", "refreshable": False}, "needs-login", 4),
    ({"status": "reauth_required", "reason": "revoked by the user", "since": NOW},
     "needs-login", 4),
])
def test_what_is_wrong_with_a_login_has_a_word_and_an_exit_status(broker, change, word, code):
    """What the broker says of it in the component `logins` is the same, and changes nothing."""
    broker.answers["accounts_list"] = [("account", {**ACCOUNT, **change}), ("list_end", {})]
    broker.answers["health_get"] = health(database="healthy",
                                          logins="healthy" if code == 0 else "degraded")
    result = broker.run("status", "--check")
    assert result.returncode == code
    assert result.stdout.startswith(word)
    assert ("streamhold login kick Streamer123" in result.stdout) == (code == 4)
    assert as_json(broker.run("status", "--json"))["overall"] == word
    assert broker.run("status").returncode == 0


def test_an_expired_login_weighs_more_than_a_lost_one(broker):
    broker.answers["accounts_list"] = [
        ("account", {**ACCOUNT, "status": "reauth_required"}),
        ("account", {**ACCOUNT, "status": "expired", "refreshable": True}), ("list_end", {})]
    assert broker.run("status", "--check").returncode == 7


def test_a_sick_component_weighs_more_than_a_lost_login(broker):
    broker.answers["health_get"] = health(database="unhealthy")
    broker.answers["accounts_list"] = [("account", {**ACCOUNT, "status": "reauth_required"}),
                                       ("list_end", {})]
    assert broker.run("status", "--check").returncode == 7


def test_status_without_a_service_is_stopped(broker):
    broker.close()
    result = broker.run("status")
    assert result.returncode == 3 and result.stdout == "stopped\n"
    assert HOW_TO_START in result.stderr
    result = broker.run("status", "--json")
    assert result.returncode == 3 and as_json(result)["overall"] == "stopped"


def test_status_without_an_account_says_how_to_get_one(broker):
    broker.answers["accounts_list"] = [("list_end", {})]
    assert "streamhold app add" in broker.run("status").stdout


# -- doctor ---------------------------------------------------------------------------

LAYERS = "no-new-privs landlock-7 seccomp"
WHOLE = [("service", "started_at", DATE, False), ("service", "sandbox", LAYERS, False),
         ("fronts", "api.connected", "yes", False), ("fronts", "api.sandbox", LAYERS, False),
         ("fronts", "webhook.connected", "yes", False), ("fronts", "webhook.sandbox", LAYERS, False),
         ("listening", "redirect_uri.kick", "http://localhost:3000/oauth/callback/kick", False),
         ("listening", "public_url", "https://hooks.example.org", False),
         ("counts", "last_delivery_at", DATE, False)]


def checks(broker):
    result = broker.run("doctor", "--json")
    document = as_json(result)
    return result.returncode, document["worst"], document["checks"]


@pytest.mark.parametrize("change, state, check, says", [
    (("service", "sandbox", "no-new-privs landlock-7", False), "problem", "sandbox", "system calls"),
    (("fronts", "api.sandbox", "seccomp", False), "warning", "sandbox", "Landlock"),
    (("fronts", "webhook.sandbox", "noseccomp landlock-7", False), "problem", "sandbox", "webhook"),
    (("fronts", "webhook.connected", "no", False), "problem", "front", "webhook"),
    (("memory", "trouble", "1 of 7 MB is locked", False), "warning", "memory", "1 of 7"),
    (("counts", "public_key_trouble", "no answer", False), "warning", "public key", "no answer"),
    (("counts", "last_delivery_at", "never", False), "note", "last delivery", "never"),
    (("listening", "public_url", "", False), "note", "public address", "public_url")])
def test_doctor_names_what_is_wrong(broker, change, state, check, says):
    rows = [row for row in WHOLE if row[:2] != change[:2]] + [change]
    broker.answers["report_get"] = reports(rows)
    code, _, found = checks(broker)
    assert [one for one in found
            if one["check"] == check and one["state"] == state and says in one["detail"]]
    assert code == (7 if state == "problem" else 0)
    assert state == "note" or [state] == [one["state"] for one in found if one["check"] == check
                                          and says in one["detail"]]


def test_doctor_says_of_each_login_and_component_what_to_do(broker):
    broker.answers["report_get"] = reports(WHOLE)
    broker.answers["health_get"] = health(database="healthy", keystore="degraded")
    broker.answers["accounts_list"] = [
        ("account", ACCOUNT), ("account", {**ACCOUNT, "username": "Lost", "status": "reauth_required",
                                           "reason": "revoked", "since": NOW}), ("list_end", {})]
    code, worst, found = checks(broker)
    assert (code, worst) == (7, "problem")
    assert [one for one in found if one["check"] == "keystore" and one["state"] == "problem"]
    assert [one["state"] for one in found if one["check"] == "login"] == ["ok", "problem"]
    assert [one["next"] for one in found if one["check"] == "login"] == [
        None, "streamhold login kick Lost"]
    text = broker.run("doctor").stdout
    assert "revoked -> streamhold login kick Lost" in text


def test_doctor_without_a_service_still_looks_at_the_configuration(broker):
    broker.close()
    result = broker.run("doctor", "--json")
    assert result.returncode == 3
    found = {one["check"]: one for one in as_json(result)["checks"]}
    assert found["service"]["next"] == HOW_TO_START and "configuration" in found


# -- inspect --------------------------------------------------------------------------


def test_inspect_groups_by_section(broker):
    broker.answers["report_get"] = reports([
        ("a", "one", "1", True), ("b", "text", "7", False), ("a", "two", "", False)])
    assert as_json(broker.run("inspect", "--json"))["sections"] == {
        "a": {"one": 1, "two": ""}, "b": {"text": "7"}}
    lines = broker.run("inspect").stdout.splitlines()
    assert [line.split() for line in lines] == \
        [["a"], ["one", "1"], ["two", "-"], [], ["b"], ["text", "7"]]


def test_inspect_keeps_the_greatest_number(broker):
    broker.answers["report_get"] = reports([("a", "big", str(2**64 - 1), True)])
    assert as_json(broker.run("inspect", "--json"))["sections"]["a"]["big"] == 2**64 - 1


# -- accounts -------------------------------------------------------------------------


def test_accounts_lists_every_login(broker):
    broker.answers["accounts_list"] = [
        ("account", ACCOUNT),
        ("account", {**ACCOUNT, "platform": "twitch", "username": "other",
                     "missing_scopes": "chat:read", "user_id": None, "display_name": None}),
        ("list_end", {})]
    text = broker.run("accounts").stdout.splitlines()
    assert text[0].split()[:3] == ["PLATFORM", "NAME", "STATUS"]
    assert text[2].split()[:2] == ["twitch", "other"] and "not granted: chat:read" in text[2]
    accounts = as_json(broker.run("accounts", "--json"))["accounts"]
    assert [account["platform"] for account in accounts] == ["kick", "twitch"]
    assert accounts[1]["missing_scope"] == ["chat:read"] and accounts[1]["user_id"] is None


def test_accounts_of_one_platform(broker):
    broker.run("accounts", "--platform", "kick")
    assert broker.questions("accounts_list")[0].platform == "kick"
    result = broker.run("accounts", "--platform", "twich")
    assert result.returncode == 2 and "twitch" in result.stderr


def test_no_account_is_not_an_error(broker):
    broker.answers["accounts_list"] = [("list_end", {})]
    result = broker.run("accounts")
    assert (result.returncode, result.stdout) == (0, "")
    assert "streamhold login" in result.stderr
    assert as_json(broker.run("accounts", "--json"))["accounts"] == []


# -- events ---------------------------------------------------------------------------


def event(seq, payload=b"{}", name="Ann", **more):
    """The row of an event, composed as the broker does; `more` changes its fields."""
    text = json.dumps({"seq": seq, "received_at": DATE, "occurred_at": None,
                       "broadcaster": {"id": "9", "name": name},
                       "flags": more.get("flags", "").split()})[:-1].encode()
    text += b', "payload":' + payload + b"}"
    return ("event", {"seq": seq, "platform": "kick", "type": "channel.followed",
                      "kind": "follow", "flags": "", "flag_bits": 0, "length": len(text),
                      "json": text, **more})


def pages(*all_pages):
    """Gives one page after the other, then empty ones."""
    left = list(all_pages)

    def answer(message):
        rows = left.pop(0) if left else []
        last = max([fields["seq"] for name, fields in rows if name == "event"],
                   default=message.after)
        return rows + [("list_end", {"next": last})]
    return answer


def test_events_show_time_number_type_and_whose(broker):
    broker.answers["events_list"] = pages([event(7, flags="duplicate foreign")])
    line = broker.run("events", "list").stdout.split()
    assert line == ["2026-01-18", "10:00:00", "#7", "kick", "channel.followed", "Ann",
                    "duplicate", "foreign"]


def test_events_as_json_are_what_the_broker_composed(broker):
    payload = b'{"amount": 1.50, "big": 123456789012345678901234567890, "a": 1,  "b":2}'
    broker.answers["events_list"] = pages([event(7, payload, flags="foreign")])
    result = broker.run("events", "list", "--json")
    assert payload.decode() in result.stdout
    document = as_json(result)
    assert document["next_after"] == 7
    found = document["events"][0]
    assert found["seq"] == 7 and found["broadcaster"] == {"id": "9", "name": "Ann"}
    assert found["received_at"] == DATE and found["flags"] == ["foreign"]
    broker.answers["events_list"] = pages([event(7, payload)])
    assert "Ann" in broker.run("events", "list").stdout


def test_a_long_event_is_put_together_from_its_parts(broker):
    fields = event(1, json.dumps({"text": "x" * 100000}).encode())[1]
    parts = [fields["json"][at:at + 32768] for at in range(0, fields["length"], 32768)]
    rows = [("event", fields | {"json": parts[0]}),
            *[("event_part", {"json": part}) for part in parts[1:]], event(2)]
    broker.answers["events_list"] = pages(rows)
    found = as_json(broker.run("events", "list", "--json"))["events"]
    assert found[0]["payload"]["text"] == "x" * 100000
    assert found[1]["payload"] == {}
    broker.answers["events_list"] = pages(rows)
    assert broker.run("events", "list").stdout.count("Ann") == 2


def test_pages_that_end_early_are_followed(broker):
    broker.answers["events_list"] = pages([event(1), event(2)], [event(3)])
    document = as_json(broker.run("events", "list", "--json"))
    assert [found["seq"] for found in document["events"]] == [1, 2, 3]
    assert [question.after for question in broker.questions("events_list")] == [0, 2, 3]


def test_the_limit_is_kept_over_pages(broker):
    broker.answers["events_list"] = pages([event(1), event(2)], [event(3)], [event(4)])
    result = broker.run("events", "list", "--limit", "3", "--after", "0")
    assert len(result.stdout.splitlines()) == 3
    assert [question.limit for question in broker.questions("events_list")] == [3, 1]


def test_filters_are_passed_on(broker):
    broker.answers["events_list"] = pages()
    broker.run("events", "list", "--after=5", "--type", "kicks.gifted", "--platform", "kick",
               "--include-foreign")
    question = broker.questions("events_list")[0]
    assert (question.after, question.limit, question.type, question.platform,
            question.foreign) == (5, 100, "kicks.gifted", "kick", True)


def test_an_empty_list_repeats_after(broker):
    broker.answers["events_list"] = pages()
    assert as_json(broker.run("events", "list", "--json", "--after", "9")) == \
        {"format_version": 1, "events": [], "next_after": 9}


@pytest.mark.parametrize("option,value", [
    ("--limit", "0"), ("--limit", "10001"), ("--limit", "x"), ("--after", "-1"),
    ("--after", ""), ("--platform", "tiktok")])
def test_wrong_numbers_and_platforms_are_usage_errors(broker, option, value):
    result = broker.run("events", "list", f"{option}={value}")
    assert result.returncode == 2 and result.stdout == "" and option[2:] in result.stderr


def test_foreign_text_cannot_drive_the_terminal(broker):
    evil = "\x1b[2J\x07\u202eevil\u009b31m"
    broker.answers["events_list"] = pages([event(1, name=evil, type="a\nb")])
    broker.answers["accounts_list"] = [
        ("account", {**ACCOUNT, "username": evil, "reason": evil, "status": "expired",
                     "refreshable": False}), ("list_end", {})]
    broker.answers["report_get"] = reports([("fronts", "api.connected", evil, False)])
    for verb in (["events", "list"], ["accounts"], ["status"], ["inspect"]):
        result = broker.run(*verb)
        for mark in ("\x1b", "\x07", "\u202e", "\u009b"):
            assert mark not in result.stdout + result.stderr
        assert "evil" in result.stdout
    name = as_json(broker.run("accounts", "--json"))["accounts"][0]["username"]
    assert name == evil


# -- errors ---------------------------------------------------------------------------


@pytest.mark.parametrize("code,status", [
    ("invalid_request", 2), ("storage_failed", 1), ("no_token", 5), ("broker_away", 3),
    ("timed_out", 6), ("internal", 1)])
def test_a_failure_gives_its_exit_status_and_a_next_command(broker, code, status):
    broker.answers["accounts_list"] = failed(code, "The disk is full.", 7)
    result = broker.run("accounts")
    assert result.returncode == status and result.stdout == ""
    assert result.stderr.splitlines()[0] == "streamhold: The disk is full."
    assert result.stderr.splitlines()[1].startswith("  -> streamhold ")
    assert "7 s" in result.stderr


def test_no_socket_is_status_3_and_names_up(broker):
    broker.close()
    for verb in (["accounts"], ["inspect"], ["app", "list"], ["events", "list"]):
        result = broker.run(*verb)
        assert result.returncode == 3 and result.stdout == ""
        assert "not running" in result.stderr and "streamhold up" in result.stderr
        assert "systemctl" in result.stderr


def test_another_build_is_told_apart(folder, build):
    broker = AdminBroker(folder, build, schema="0123456789abcdef")
    result = broker.run("accounts")
    assert result.returncode == 1 and "another build" in result.stderr
    assert "restart" in result.stderr


def test_a_broker_that_closes_at_once_means_not_allowed(folder, build):
    broker = AdminBroker(folder, build, silent=True)
    result = broker.run("accounts")
    assert result.returncode == 1 and "group streamhold" in result.stderr


def test_a_socket_that_may_not_be_opened_names_the_group(broker, folder):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    folder.chmod(0o755)
    broker.path.chmod(0o600)
    import subprocess
    import shutil
    program = folder / "streamhold"
    shutil.copy(broker.build / "bin" / "streamhold", program)
    result = subprocess.run([program, "accounts", "--socket", broker.path], user="nobody",
                            group="nogroup", extra_groups=[], capture_output=True, text=True)
    assert result.returncode == 1 and "group streamhold" in result.stderr


def test_a_broker_that_goes_away_in_the_middle(broker):
    broker.answers["report_get"] = "hang up"
    result = broker.run("inspect")
    assert result.returncode == 3 and "went away" in result.stderr


def test_colours_only_on_a_terminal_that_wants_them(broker):
    import pty
    import subprocess

    def on_terminal(environment, *arguments):
        controller, terminal = pty.openpty()
        subprocess.run(broker.command("status", *arguments), stdout=terminal,
                       stderr=terminal, timeout=20,
                       env={**os.environ, "TERM": "xterm", **environment})
        os.close(terminal)
        text = b""
        try:
            while piece := os.read(controller, 65536):
                text += piece
        except OSError:
            pass
        os.close(controller)
        return b"\x1b[32m" in text

    os.environ.pop("NO_COLOR", None)
    assert on_terminal({})
    assert not on_terminal({"NO_COLOR": "1"})
    assert not on_terminal({"TERM": "dumb"})
    assert not on_terminal({}, "--no-color")
    assert "\x1b" not in broker.run("status").stdout


# -- what to type next ----------------------------------------------------------------


@pytest.mark.parametrize("words, code, following", [
    ("events show 7", "not_found", "events list"),
    ("subs clear nobody --yes", "not_found", "subs list"),
    ("consumers show nobody", "not_found", "consumers list"),
    ("inspect", "not_found", "status"),
    ("subs set me chat.message.sent", "invalid_request", "help subs set"),
    ("events list --limit none", None, "help events list"),
    ("login nowhere me", None, "help login"),
    ("status too many words", None, "status --help"),
])
def test_an_error_names_the_list_or_the_help_of_its_verb(broker, words, code, following):
    for question in ("event_get", "subscription_put", "subscriptions_list", "consumers_list",
                     "report_get"):
        broker.answers[question] = failed(code)
    result = broker.run(*words.split())
    assert result.stderr.splitlines()[-1] == f"  -> streamhold {following}"
    assert not any(line.endswith(" ") for line in result.stderr.splitlines())
