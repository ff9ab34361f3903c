"""The fake platforms together with the configuration that points Streamhold at them."""
from tests.fake.__main__ import config_section
from tests.fake.client import approve
from tests.fake.google import FakeGoogle
from tests.fake.keys import Signer
from tests.fake.kick import FakeKick
from tests.fake.twitch import FakeTwitch

NAMES = ("twitch", "kick", "youtube")
CLIENT_ID = "test-client-id"
CLIENT_SECRET = "test-client-secret-0123456789abcdef"
USER = "streamer123"
USERS = {
    "kick": {"id": 123456789, "login": "Streamer123", "slug": "streamer123"},
    "twitch": {"id": "141981764", "login": "streamer123", "display_name": "Streamer123"},
    "youtube": {"id": "UC0123456789abcdefghijkl", "login": "streamer123",
                "display_name": "Streamer123"},
}
OTHER = {
    "kick": {"id": 123456790, "login": "Another_One"},
    "twitch": {"id": "141981765", "login": "another_one"},
    "youtube": {"id": "UCanother0123456789abcde", "login": "another_one"},
}


class Platforms:
    signer = Signer()       # one key for the whole run: making one takes a while

    def __init__(self):
        self.fakes = {"kick": FakeKick(signer=self.signer).start(),
                      "twitch": FakeTwitch().start(),
                      "youtube": FakeGoogle().start()}

    def __getitem__(self, name):
        return self.fakes[name]

    def config(self, folder, **more):
        """A configuration that points at the fakes; `folder` gets the public key."""
        key = folder / "kick_public.pem"
        key.write_bytes(self.signer.public_pem if isinstance(self.signer.public_pem, bytes)
                        else self.signer.public_pem.encode())
        return {"platforms": config_section(self.fakes, str(key)), **more}

    def register(self, daemon, names=NAMES, base=None, path=""):
        """Registers an app with the daemon's redirect address, and the users."""
        base = base or f"http://localhost:{daemon.api_port}"
        for name in names:
            fake = self.fakes[name]
            kind = "web" if name == "youtube" else "confidential"
            fake.add_app(CLIENT_ID, CLIENT_SECRET, [f"{base}/oauth/callback/{name}{path}"],
                         kind=kind)
            fake.add_user(**USERS[name])
            fake.add_user(**OTHER[name])
            fake.set(authorize="auto")

    def stop(self, name=None):
        """Stops one platform, which is then unreachable, or all that still run."""
        for one in [name] if name else list(self.fakes):
            self.fakes.pop(one).stop()


def put_credentials(daemon, platform, **more):
    body = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **more}
    answer = daemon.post(f"/oauth/credentials/{platform}", body)
    assert answer.status == 200, answer.text
    return answer


def login(daemon, platform, username=USER, query=""):
    """Goes through the whole login as a browser would; gives the callback's answer."""
    started = daemon.get(f"/oauth/start/{platform}/{username}{query}")
    assert started.status == 200, started.text
    location = approve(started.json()["auth_url"])
    return follow(daemon, location)


def follow(daemon, location, **options):
    """Opens a callback address at the daemon."""
    path = location.split("/", 3)[3]
    return daemon.get("/" + path, **options)
