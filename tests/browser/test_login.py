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


# What a page does when it closes itself, told by its own clock, which begins with the page.
CLOCK = """const close = window.close.bind(window);
window.close = () => {
    console.log(`closes ${location.pathname} ${performance.now()}`);
    close();
};"""


def test_the_ok_page_closes_itself_after_two_seconds(daemon, page):
    """A window that a script has opened; one that a person has opened stays, as browsers want
    it."""
    put_credentials(daemon, "kick")
    page.goto(f"http://localhost:{daemon.api_port}/")
    url = daemon.get(f"/oauth/start/kick/{USER}").json()["auth_url"]
    told = []
    page.context.on("console", lambda message: told.append(message.text))
    page.context.add_init_script(CLOCK)
    with page.context.expect_page() as opened:
        page.evaluate("url => { window.open(url, 'login'); }", url)
    window = opened.value
    with window.expect_event("close"):
        window.get_by_role("button", name="Allow").click()
    [(path, after)] = [one.split()[1:] for one in told if one.startswith("closes ")]
    assert path == "/oauth/callback/kick" and float(after) >= 2000
    assert not page.is_closed()
    assert daemon.get(f"/oauth/status/kick/{USER}").json()["status"] == "valid"


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


def test_status_page_without_accounts_says_how_to_begin(daemon, page):
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(f"http://localhost:{daemon.api_port}/")
    page.wait_for_selector("#accounts tr")
    assert page.inner_text("#accounts").split("\t") == [
        "none yet", "", "streamhold app add kick, then streamhold login kick NAME"]
    assert complaints == []


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


def state_of(daemon):
    """All that the attack aims at."""
    return [daemon.get(path).json() for path in
            ("/oauth/credentials", "/oauth/accounts", f"/oauth/status/kick/{USER}")]


def test_a_foreign_page_cannot_drive_the_api(daemon, fakes, page):
    put_credentials(daemon, "kick")
    consent(page, daemon, "kick", "Allow")
    before = state_of(daemon)
    assert before[2]["status"] == "valid" and f"/oauth/kick/{USER}'" in ATTACK
    page.goto(fakes["kick"].url("id") + "/nowhere")      # another origin on this machine
    tried = page.evaluate(ATTACK, f"http://localhost:{daemon.api_port}")
    assert state_of(daemon) == before, json.dumps(tried)
    assert fakes["kick"].asked("revoke") == []
    assert set(tried) == {"read", "read no-cors", "post json", "post text", "delete"}
    readable = {name: result for name, result in tried.items() if result not in ("blocked", "opaque")}
    assert readable == {}


def test_a_rebound_name_is_misdirected(daemon, chromium, page):
    """DNS rebinding: the browser believes that evil.test is this machine."""
    answer = daemon.get("/oauth/accounts", headers={"Host": f"evil.test:{daemon.api_port}"})
    assert answer.status == 421
