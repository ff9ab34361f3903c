"""Apps, users, codes and tokens of one fake platform, and the rules of their life.

Nothing here knows HTTP or a platform's error texts: refusals are raised as Refused with
a plain reason that the platform translates.
"""
import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, field

VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}\Z")
ROTATIONS = ("never", "relaxed", "grace", "strict", "family")


class Refused(Exception):
    """reason: unknown, used, expired, dead, client, redirect, no_verifier, verifier, limit"""

    def __init__(self, reason):
        super().__init__(reason)
        self.reason = reason


@dataclass
class App:
    """kind: confidential, public (Twitch); desktop, web, tv (Google). scopes None: any."""

    client_id: str
    client_secret: str
    redirect_uris: list = field(default_factory=list)
    scopes: list = None
    kind: str = "confidential"
    name: str = "Demo app"
    project: str = "project"
    bot: bool = True
    webhook_url: str = None


@dataclass
class User:
    id: str
    login: str
    display_name: str = None
    slug: str = None
    email: str = ""
    channel: bool = True

    def __post_init__(self):
        self.id = str(self.id)
        self.display_name = self.display_name or self.login
        self.slug = self.slug or self.login.lower().replace("_", "-")


@dataclass
class Grant:
    """What one user (or the app itself, user None) allowed one app: a family of tokens."""

    app: App
    user: User
    scopes: tuple


@dataclass
class Code:
    value: str
    grant: Grant
    redirect_uri: str
    challenge: str
    method: str
    expires: float
    offline: bool
    used: bool = False


@dataclass
class Token:
    value: str
    use: str
    grant: Grant
    issued: float
    expires: float
    dead: str = None
    doomed_at: float = None

    def live(self, now):
        doomed = self.doomed_at is not None and now >= self.doomed_at
        return not self.dead and not doomed and now < self.expires


def s256(verifier):
    """RFC 7636: base64url without padding of the SHA-256 of the verifier."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def random_text(alphabet, length):
    return "".join(secrets.choice(alphabet) for _ in range(length))


class Store:
    """now: the platform's clock; mint(use): a fresh opaque value of the platform's form."""

    def __init__(self, now, mint):
        self.now, self.mint = now, mint
        self.apps, self.users = {}, {}
        self.clear()

    def clear(self):
        """Forgets everything that was issued; apps and users stay."""
        self.codes, self.tokens, self.consents, self.flows = {}, {}, {}, []

    def add_app(self, client_id, client_secret, redirect_uris=(), **more):
        app = App(client_id, client_secret, list(redirect_uris), **more)
        self.apps[client_id] = app
        return app

    def add_user(self, id, login, **more):
        user = User(id, login, **more)
        self.users[user.id] = user
        return user

    def user(self, name=None):
        """By id, login, slug or display name; without a name the first one."""
        for user in self.users.values():
            names = (user.id, user.login, user.slug, user.display_name)
            if name is None or str(name) in names:
                return user
        raise LookupError(f"no such user: {name}")

    def add_code(self, grant, redirect_uri, life, challenge=None, method=None, offline=True):
        code = Code(self.mint("code"), grant, redirect_uri, challenge, method,
                    self.now() + life, offline)
        self.codes[code.value] = code
        return code

    def take_code(self, value, app, redirect_uri, verifier):
        """Spends a code. Any try by its own client spends it, successful or not [I]."""
        code = self.codes.get(value)
        if code is None:
            raise Refused("unknown")
        if code.grant.app is not app:
            raise Refused("client")
        if code.used:
            raise Refused("used")
        code.used = True
        if self.now() >= code.expires:
            raise Refused("expired")
        if redirect_uri != code.redirect_uri:
            raise Refused("redirect")
        if code.challenge:
            check_verifier(code, verifier)
        return code

    def add_token(self, use, grant, life, value=None):
        token = Token(value or self.mint(use), use, grant, self.now(), self.now() + life)
        self.tokens[token.value] = token
        return token

    def find(self, value, use=None):
        """A token that is alive, or None."""
        token = self.tokens.get(value or "")
        if token is None or not token.live(self.now()):
            return None
        return token if use in (None, token.use) else None

    def family(self, grant, use=None):
        """The live tokens of a grant, oldest first."""
        now = self.now()
        return [token for token in self.tokens.values()
                if token.grant is grant and use in (None, token.use) and token.live(now)]

    def spend_refresh(self, value, app, rotation, grace_s):
        """Uses a refresh token by the policy. True when the answer carries a new one."""
        token = self.tokens.get(value or "")
        if token is None or token.use != "refresh":
            raise Refused("unknown")
        if token.grant.app is not app:
            raise Refused("client")
        if not token.live(self.now()):
            if rotation == "family" and token.dead == "rotated":
                self.kill(token.grant, "family")
            raise Refused("expired" if not token.dead else "dead")
        if rotation in ("strict", "family"):
            token.dead = "rotated"
        elif rotation == "grace" and token.doomed_at is None:
            token.doomed_at = self.now() + grace_s
        return token.grant, rotation != "never"

    def kill(self, grant, reason, use=None):
        for token in self.family(grant, use):
            token.dead = reason

    def kill_where(self, reason, token=None, user=None, client_id=None, use=None):
        """Kills every live token that fits all that is given; how many there were."""
        count = 0
        for one in list(self.tokens.values()):
            owner = one.grant.user
            fits = (token in (None, one.value) and use in (None, one.use)
                    and client_id in (None, one.grant.app.client_id)
                    and (user is None or (owner and str(user) in (owner.id, owner.login))))
            if fits and one.live(self.now()):
                one.dead = reason
                count += 1
        return count


def check_verifier(code, verifier):
    if not verifier:
        raise Refused("no_verifier")
    if not VERIFIER.match(verifier):
        raise Refused("verifier")
    expected = verifier if code.method == "plain" else s256(verifier)
    if expected != code.challenge:
        raise Refused("verifier")
