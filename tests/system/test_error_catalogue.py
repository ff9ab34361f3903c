"""Every row of the error catalogues (facts/kick.md 1.5; facts/twitch-google-standards.md A.11, C.8
and E.3) as the platform would send it, and what the daemon makes of it: on a refresh, and on the
exchange of a code. tests/unit/test_platform_errors.c has the classes alone."""
import time

import pytest

from tests.lib.platforms import NAMES, USER, login, put_credentials

HTML = "<html><body>Request blocked</body></html>"


def rfc(error, text=None, **more):
    return {"error": error, **({"error_description": text} if text else {}), **more}


def twitch(status, message, **more):
    return {"status": status, "message": message, **more}


# What ends a login; the question is put twice before that is believed.
TERMINAL = {
    "kick": [(401, rfc("invalid_grant", "The provided authorization grant is invalid")),
             (400, rfc("invalid_grant"))],
    "twitch": [(400, twitch(400, "Invalid refresh token")),
               (400, twitch(400, "Invalid refresh token", error="Bad Request")),
               (400, twitch(400, "Invalid grant")), (401, twitch(401, "whatever")), (401, "")],
    "youtube": [(400, rfc("invalid_grant", "Token has been expired or revoked.")),
                (400, rfc("invalid_grant", "Bad Request")),
                (400, rfc("invalid_grant", "reauth related error (invalid_rapt)",
                          error_subtype="invalid_rapt")),
                (400, rfc("invalid_grant", "Account has been deleted")),
                (400, rfc("admin_policy_enforced")), (403, rfc("org_internal")),
                (403, rfc("access_denied"))],
}
# What is wrong with the client: tokens are kept, and the platform is left alone.
CONFIG = {
    "kick": [(401, rfc("invalid_client", "Client authentication failed"))],
    "twitch": [(400, twitch(400, "invalid client")), (403, twitch(403, "invalid client secret")),
               (400, twitch(400, "missing client id")),
               (400, twitch(400, "missing client secret")),
               (400, twitch(400, "invalid scope requested: 'x'")),
               (400, twitch(400, "Parameter redirect_uri does not match registered URI")),
               (400, twitch(400, "Parameter redirect_uri does not match registeredURI"))],
    "youtube": [(401, rfc("invalid_client", "The OAuth client was not found.")),
                (401, rfc("invalid_client", "Unauthorized")), (401, rfc("unauthorized_client")),
                (400, rfc("redirect_uri_mismatch"))],
}
# What passes, or is a defect of ours: tokens are kept and it is tried again later.
KEPT = {
    "kick": [(400, rfc("Invalid request")), (400, rfc("invalid_request")),
             (401, rfc("unsupported_grant_type")), (401, rfc("unsupported_response_type")),
             (500, rfc("server_error")), (503, rfc("temporarily_unavailable")), (400, ""),
             (401, ""), (401, HTML), (403, HTML), (401, rfc("never heard of")),
             (403, rfc("access_denied")), (400, rfc("something", "invalid_grant")),
             (401, rfc("unauthorized_client")), (400, rfc("invalid_scope")), (429, rfc("invalid_grant"))],
    "twitch": [(400, twitch(400, "missing refresh token")),
               (400, twitch(400, "authorization_pending")),
               (400, twitch(400, "missing device_code")),
               (400, twitch(400, "Invalid authorization code")),
               (400, twitch(400, "invalid device code")),
               (500, twitch(500, "Missing column authorization_id from item map[]")),
               (400, HTML), (503, ""), (429, twitch(429, "slow down"))],
    "youtube": [(400, rfc("invalid_request", "client_secret is missing.")),
                (400, rfc("something", "invalid_grant")),
                (400, rfc("unsupported_grant_type")), (400, rfc("invalid_scope")),
                (500, rfc("internal_failure")), (503, HTML), (429, rfc("rate_limited")),
                (200, {"token_type": "Bearer"})],
}
# What is said of a code: begin anew.
CODE = {
    "kick": [(401, rfc("invalid_grant", "The authorization code is invalid or expired"))],
    "twitch": [(400, twitch(400, "Invalid authorization code")),
               (400, twitch(400, "invalid device code"))],
    "youtube": [(400, rfc("invalid_grant", "Malformed auth code.")),
                (400, rfc("invalid_grant", "Missing code verifier."))],
}


@pytest.fixture(params=NAMES)
def platform(request):
    return request.param


class Stage:
    """A daemon with one account for each row."""

    def __init__(self, daemon, fakes, platform, count):
        self.daemon, self.fake, self.platform = daemon, fakes[platform], platform
        self.names = [f"row{number}" for number in range(count)]
        fakes.register(daemon, [platform])
        put_credentials(daemon, platform)
        for number, name in enumerate(self.names):
            number = number + 5000 if platform != "youtube" else f"UCrow{number:019}"
            self.fake.add_user(id=number, login=name)
            self.fake.set(identity=str(number))
            answer = login(daemon, platform, name)
            assert answer.status == 200, answer.text

    def refresh(self, name):
        return self.daemon.post(f"/oauth/refresh/{self.platform}/{name}")

    def status(self, name):
        return self.daemon.get(f"/oauth/status/{self.platform}/{name}")

    def sent(self, name=None):
        return [one for one in self.fake.asked("token")
                if one["form"].get("grant_type") == "refresh_token"]


@pytest.fixture
def stage(streamhold, fakes, folder, platform):
    return lambda rows: Stage(streamhold(fakes.config(folder)), fakes, platform, len(rows))


def test_what_ends_a_login(stage, platform):
    """One after the other, so that each meets its own row; they are put again meanwhile."""
    from concurrent.futures import ThreadPoolExecutor
    rows = TERMINAL[platform]
    stage = stage(rows)
    with ThreadPoolExecutor(len(rows)) as pool:
        asked = []
        for name, (code, body) in zip(stage.names, rows):
            before = len(stage.sent())
            stage.fake.next("token", status=code, body=body)
            asked.append(pool.submit(stage.refresh, name))
            end = time.monotonic() + 2
            while len(stage.sent()) == before and time.monotonic() < end:
                time.sleep(0.01)
        for code, body in rows:
            stage.fake.next("token", status=code, body=body)
        answers = [one.result() for one in asked]
    for name, answer in zip(stage.names, answers):
        assert answer.status == 404, answer.text
        assert answer.json()["status"] == "reauth_required"
        assert stage.status(name).json()["reason"]
    assert len(stage.sent()) == 2 * len(rows)


def test_what_is_wrong_with_the_client(stage, platform):
    rows = CONFIG[platform]
    stage = stage(rows)
    for name, (code, body) in zip(stage.names, rows):
        stage.fake.next("token", status=code, body=body)
        before = len(stage.sent())
        answer = stage.refresh(name)
        assert answer.status == 502 and "streamhold app add" in answer.json()["error"], body
        assert stage.status(name).json()["status"] == "valid"
        assert stage.refresh(stage.names[0]).status == 502      # paused, for all
        assert len(stage.sent()) == before + 1
        put_credentials(stage.daemon, platform)
        assert stage.refresh(name).status == 200, body


def test_what_passes(stage, platform):
    rows = KEPT[platform]
    stage = stage(rows)
    for name, (code, body) in zip(stage.names, rows):
        stage.fake.next("token", status=code, body=body)
        answer = stage.refresh(name)
        assert answer.status == 502, (body, answer.text)
        after = stage.status(name).json()
        assert after["status"] == "valid" and after["trouble"], body
        assert "app add" not in answer.text
        # It would be tried again, with the answer that is meant for the next.
        assert stage.daemon.delete(f"/oauth/{platform}/{name}").status == 200


@pytest.mark.parametrize("rows", [TERMINAL, CONFIG, KEPT, CODE],
                         ids=["terminal", "config", "kept", "code"])
def test_every_row_ends_an_exchange(streamhold, fakes, folder, platform, rows):
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon, [platform])
    put_credentials(daemon, platform)
    for code, body in rows[platform]:
        fakes[platform].next("token", status=code, body=body)
        answer = login(daemon, platform)
        assert answer.status == 502, (body, answer.text)
        assert "No access tokens were stored" in answer.text
        assert daemon.get(f"/oauth/status/{platform}/{USER}").status == 404
    assert login(daemon, platform).status == 200
