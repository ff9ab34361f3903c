"""A person's login in a real browser: the platform's consent page, the redirect, the `Ok` page."""
import json

import pytest

from tests.lib.platforms import NAMES, USER, put_credentials


@pytest.fixture
def daemon(streamhold, fakes, folder):
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon)
    for name in NAMES:
        fakes[name].set(authorize="page")
    return daemon


def consent(page, daemon, platform, button):
    url = daemon.get(f"/oauth/start/{platform}/{USER}").json()["auth_url"]
    page.goto(url)
    page.get_by_role("button", name=button).click()
    page.wait_for_url("**/oauth/callback/**")


@pytest.mark.parametrize("platform", NAMES)
def test_login_lands_on_the_ok_page(daemon, page, platform):
    put_credentials(daemon, platform)
    problems = []
    page.on("console", lambda message: problems.append(message.text)
            if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    consent(page, daemon, platform, "Allow")
    assert page.title() == "OAuth Callback Received"
    assert page.locator("h1").inner_text() == "Ok"
    # Style and script are allowed by their hashes: the heading is green, no complaint.
    assert page.locator("h1").evaluate("one => getComputedStyle(one).color") == \
        "rgb(16, 185, 129)"
    # The favicon is the browser's own idea.
    assert [one for one in problems if "favicon" not in one and "404" not in one] == []
    assert daemon.get(f"/oauth/status/{platform}/{USER}").json()["status"] == "valid"


@pytest.mark.parametrize("platform", NAMES)
def test_denied_login_says_so(daemon, page, platform):
    put_credentials(daemon, platform)
    consent(page, daemon, platform, "Deny")
    assert "access_denied" in page.locator("body").inner_text()
    assert daemon.get(f"/oauth/status/{platform}/{USER}").status == 404


def test_back_and_reload_do_no_harm(daemon, page):
    put_credentials(daemon, "kick")
    consent(page, daemon, "kick", "Allow")
    assert page.locator("h1").inner_text() == "Ok"
    page.reload()
    assert "Invalid state parameter" in page.locator("body").inner_text()
    assert daemon.get(f"/oauth/status/kick/{USER}").json()["status"] == "valid"


def test_status_page(daemon, page, tmp_path):
    put_credentials(daemon, "kick")
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"http://localhost:{daemon.api_port}/")
    assert "Streamhold" in page.title()
    page.screenshot(path=str(tmp_path / "home.png"))
    assert problems == []


# A page of another origin in the same browser must not be able to drive the API.
ATTACK = """async (base) => {
    const tried = {};
    const attempt = async (name, call) => {
        try {
            const reply = await call();
            tried[name] = reply.type === 'opaque' ? 'opaque' : String(reply.status);
        } catch (error) { tried[name] = 'blocked'; }
    };
    const json = {'Content-Type': 'application/json'};
    const body = JSON.stringify({client_id: 'evil', client_secret: 'evil'});
    await attempt('read', () => fetch(base + '/oauth/accounts'));
    await attempt('read no-cors', () => fetch(base + '/oauth/accounts', {mode: 'no-cors'}));
    await attempt('post json', () => fetch(base + '/oauth/credentials/kick',
                                           {method: 'POST', headers: json, body}));
    await attempt('post text', () => fetch(base + '/oauth/credentials/kick',
                                           {method: 'POST', mode: 'no-cors', body}));
    await attempt('delete', () => fetch(base + '/oauth/kick/streamer123', {method: 'DELETE'}));
    const form = document.createElement('form');
    form.method = 'POST'; form.action = base + '/oauth/credentials/kick';
    form.target = 'sink'; form.enctype = 'text/plain';
    const input = document.createElement('input');
    input.name = '{"client_id":"evil","client_secret":"evil","x":"'; input.value = '"}';
    const frame = document.createElement('iframe'); frame.name = 'sink';
    document.body.append(frame, form); form.append(input); form.submit();
    await new Promise(done => setTimeout(done, 500));
    return tried;
}"""


def test_a_foreign_page_cannot_drive_the_api(daemon, fakes, page):
    put_credentials(daemon, "kick")
    before = daemon.get("/oauth/credentials").json()
    page.goto(fakes["kick"].url("id") + "/nowhere")      # another origin on this machine
    tried = page.evaluate(ATTACK, f"http://localhost:{daemon.api_port}")
    assert daemon.get("/oauth/credentials").json() == before, json.dumps(tried)
    readable = {name: result for name, result in tried.items() if result not in ("blocked", "opaque")}
    assert readable == {}


def test_a_rebound_name_is_misdirected(daemon, chromium, page):
    """DNS rebinding: the browser believes that evil.test is this machine."""
    answer = daemon.get("/oauth/accounts", headers={"Host": f"evil.test:{daemon.api_port}"})
    assert answer.status == 421
