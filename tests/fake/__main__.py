"""Starts all three fakes: ``python3 -m tests.fake --dir DIR``; runs until TERM or INT.

Writes into DIR: fakes.json (addresses, client ids, files), kick_public.pem and
kick_private.pem (for the sender), secret.<platform> (0600, the client secret), and
platforms.json, the ready-made ``platforms`` section for Streamhold's config.json.
"""
import argparse
import json
import os
import secrets
import signal
import sys

from .base import pretty
from .google import FakeGoogle
from .keys import Signer
from .kick import FakeKick
from .sender import write_private
from .twitch import FakeTwitch

CLIENT_ID = "demo-client"
PLATFORMS = ("kick", "twitch", "youtube")
USERS = {
    "kick": {"id": 123456789, "login": "Streamer123", "slug": "streamer123",
             "email": "streamer@example.com"},
    "twitch": {"id": "141981764", "login": "streamer123", "display_name": "Streamer123",
               "email": "streamer@example.com"},
    "youtube": {"id": "UC0123456789abcdefghijkl", "login": "streamer123",
                "display_name": "Streamer123", "email": "streamer@example.com"},
}
OTHER_USERS = {
    "kick": {"id": 123456790, "login": "Another_One"},
    "twitch": {"id": "141981765", "login": "another_one"},
    "youtube": {"id": "UCanother0123456789abcde", "login": "another_one"},
}


def config_section(fakes, key_file):
    """The ``platforms`` section of config.json (addresses as Streamhold's keys)."""
    kick, twitch, google = (fakes[name] for name in PLATFORMS)
    return {
        "kick": {
            "authorize_url": kick.url("id") + "/oauth/authorize",
            "token_url": kick.url("id") + "/oauth/token",
            "revoke_url": kick.url("id") + "/oauth/revoke",
            "introspect_url": kick.url("id") + "/oauth/token/introspect",
            "api_url": kick.url("api") + "/public/v1",
            "public_key_file": key_file,
        },
        "twitch": {
            "authorize_url": twitch.url("id") + "/oauth2/authorize",
            "token_url": twitch.url("id") + "/oauth2/token",
            "revoke_url": twitch.url("id") + "/oauth2/revoke",
            "validate_url": twitch.url("id") + "/oauth2/validate",
            "device_url": twitch.url("id") + "/oauth2/device",
            "api_url": twitch.url("api") + "/helix",
        },
        "youtube": {
            "authorize_url": google.url("accounts") + "/o/oauth2/v2/auth",
            "token_url": google.url("oauth2") + "/token",
            "revoke_url": google.url("oauth2") + "/revoke",
            "device_url": google.url("oauth2") + "/device/code",
            "validate_url": google.url("oauth2") + "/tokeninfo",
            "api_url": google.url("api") + "/youtube/v3",
        },
    }


def redirects(wanted, platform):
    """The redirect addresses given for a platform, else those of Streamhold's defaults."""
    given = [uri for name, _, uri in (one.partition("=") for one in wanted)
             if name == platform]
    return given or [f"http://localhost:3000/oauth/callback/{platform}"]


def parse(arguments):
    parser = argparse.ArgumentParser(prog="python3 -m tests.fake", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", required=True, help="where to write; made when absent")
    parser.add_argument("--redirect", action="append", default=[], metavar="PLATFORM=URI",
                        help="registered redirect address (repeatable)")
    parser.add_argument("--port", action="append", default=[], metavar="PLATFORM.HOST=N",
                        help="a fixed port, for instance kick.id=4001 (repeatable)")
    parser.add_argument("--key", help="Kick's private signing key (PEM)")
    parser.add_argument("--auto", action="store_true",
                        help="approve every login at once, without the consent page")
    return parser.parse_args(arguments)


def start(args):
    """The three fakes, running, each with its app and users; and the apps' secrets."""
    ports = {}
    for one in args.port:
        name, _, number = one.partition("=")
        platform, _, host = name.partition(".")
        ports.setdefault(platform, {})[host] = int(number)
    signer = Signer.load(args.key) if args.key else Signer()
    fakes = {
        "kick": FakeKick(signer=signer, ports=ports.get("kick")),
        "twitch": FakeTwitch(ports=ports.get("twitch")),
        "youtube": FakeGoogle(ports=ports.get("youtube")),
    }
    kinds = {"youtube": {"kind": "desktop"}}
    client_secrets = {}
    for name, fake in fakes.items():
        client_secrets[name] = secrets.token_hex(32)
        fake.start()
        fake.add_app(CLIENT_ID, client_secrets[name], redirects(args.redirect, name),
                     **kinds.get(name, {}))
        fake.add_user(**USERS[name])
        fake.add_user(**OTHER_USERS[name])
        if args.auto:
            fake.set(authorize="auto")
    return fakes, client_secrets


def describe(args, fakes, client_secrets):
    """Writes the files of DIR; answers what fakes.json holds."""
    folder = os.path.abspath(args.dir)

    def path(name):
        return os.path.join(folder, name)
    public, private = path("kick_public.pem"), path("kick_private.pem")
    with open(public, "w", encoding="ascii") as file:
        file.write(fakes["kick"].signer.public_pem + "\n")
    write_private(private, fakes["kick"].signer.private_pem)
    out = {"pid": os.getpid(), "kick_public_key": public, "kick_private_key": private,
           "platforms_file": path("platforms.json"), "platforms": {}}
    for name, fake in fakes.items():
        write_private(path(f"secret.{name}"), client_secrets[name].encode())
        out["platforms"][name] = {
            "url": fake.url(), "urls": {host: fake.url(host) for host in fake.hosts},
            "control": fake.url() + "/_control/", "client_id": CLIENT_ID,
            "client_secret_file": path(f"secret.{name}"),
            "redirect_uris": redirects(args.redirect, name), "user": USERS[name]["login"]}
    out["config"] = {"platforms": config_section(fakes, public)}
    for name, value in (("platforms.json", out["config"]), ("fakes.json", out)):
        with open(path(name) + ".new", "w", encoding="utf-8") as file:
            file.write(pretty(value))
        os.replace(path(name) + ".new", path(name))
    return out


def main(arguments=None):
    args = parse(arguments)
    os.makedirs(args.dir, mode=0o700, exist_ok=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    fakes, client_secrets = start(args)
    print(json.dumps(describe(args, fakes, client_secrets)), flush=True)
    signal.sigwait((signal.SIGTERM, signal.SIGINT))
    for fake in fakes.values():
        fake.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
