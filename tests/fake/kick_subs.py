"""Fake Kick's event subscriptions and their deliveries, with every trap of Kick 4, 7 and 8.

What the real one does with a malformed call is not documented but for the envelope of a
400. The fake refuses all that the documented form does not have and that could change what
a call means: a client that needs leniency is wrong. Members of the body that nobody knows
are ignored, as the real one ignores `callback`.
"""
from datetime import datetime, timezone

from . import events
from .delivery import build
from .http import Response, json_response
from .keys import ulid
from .sender import send

PATH = "/public/v1/events/subscriptions"
SCOPE = "events:subscribe"
LIMIT, CHAT_LIMIT = 10_000, 1_000       # of an event type and application, unverified (4.4)
INNER = ("user", "born", "silent")      # members of a subscription that no list shows


def as_number(text):
    """A user id as the API shows it: a JSON integer."""
    return int(text) if str(text).isdigit() else text


def is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_event(value):
    return isinstance(value, dict) and isinstance(value.get("name"), str) \
        and is_whole(value.get("version"))


class KickSubscriptions:
    """Mixed into KickApi, which has the envelope and the authorization."""

    settings = {
        "webhooks_enabled": (True, (True, False)),
        "subscription_errors": ({}, [dict]),    # event: text of its error under a 200
        "subscription_limit": (None, [int, type(None)]),    # of an app in all
        "subscription_limits": ({}, [dict]),    # event: most of an app, instead of Kick's
        "create_status": (200, (200, 201)),
        "create_form": ("full", ("full", "sparse")),    # sparse: empty members are absent
        "repeat": ("double", ("double", "same")),   # same: the old id, as in Feb 2025 (#246)
        "phantoms": ([], [list]),               # events that are confirmed and never exist
        "omit_fresh_s": (0, [int, float]),      # lists lack an id that is younger (#419)
        "omit_every": (1, [int]),               # and only one list of so many does
        "drop_after_failures": (0, [int]),      # failed deliveries until auto-drop; 0 never
    }
    CONTROL = ("subscribe", "subscriptions_now", "drop_subscriptions",
               "silence_subscriptions", "deliver", "delivery_failed")

    def reset_subscriptions(self):
        self.subscriptions = []
        self.deleted = []
        self.failures = {}
        self.lists = 0

    def subscription_routes(self):
        return {
            ("api", "GET", PATH): ("subscriptions_list", self.list_subscriptions),
            ("api", "POST", PATH): ("subscriptions_create", self.create),
            ("api", "DELETE", PATH): ("subscriptions_delete", self.delete),
        }

    # -- list (4.1) ----------------------------------------------------------------

    def list_subscriptions(self, request):
        grant, refusal = self.authorized(request, SCOPE)
        if refusal:
            return refusal
        wanted = request.query_all("broadcaster_user_id")
        if set(request.query) - {"broadcaster_user_id"} or len(wanted) > 1 \
                or not all(one.isdigit() for one in wanted):
            return self.failure(400, "invalid parameters")
        self.lists += 1
        omits = self.script["omit_fresh_s"] and self.lists % self.script["omit_every"] == 0
        fresh = self.now() - self.script["omit_fresh_s"]
        return self.success([
            {key: value for key, value in sub.items() if key not in INNER}
            for sub in self.subscriptions
            if self._may_touch(grant, sub) and (not wanted or sub["user"] in wanted)
            and not (omits and sub["born"] > fresh)])

    @staticmethod
    def _may_touch(grant, sub):
        """An app token may all of its app, a user token its own channel's."""
        return sub["app_id"] == grant.app.client_id and (
            grant.user is None or sub["user"] == grant.user.id)

    # -- create (4.2, 4.4) ---------------------------------------------------------

    def create(self, request):
        grant, refusal = self.authorized(request, SCOPE)
        if refusal:
            return refusal
        body = request.json() if request.media_type == "application/json" else None
        if not self._is_creation(body):
            return self.failure(400, "invalid body")
        owner = grant.user.id if grant.user else body.get("broadcaster_user_id")
        if owner is None:
            return self.failure(400, "broadcaster_user_id is required for app tokens")
        if self._is_over_limit(grant.app, [event["name"] for event in body["events"]]):
            return self.failure(400, "event subscription limit reached")
        return json_response(self.script["create_status"], {
            "data": [self._create_one(grant.app, str(owner), event)
                     for event in body["events"]], "message": "OK"})

    @staticmethod
    def _is_creation(body):
        return isinstance(body, dict) and body.get("method") == "webhook" \
            and isinstance(body.get("events"), list) and bool(body["events"]) \
            and all(map(is_event, body["events"])) \
            and (body.get("broadcaster_user_id") is None
                 or is_whole(body["broadcaster_user_id"]))

    def _is_over_limit(self, app, names):
        """The whole call is refused then: nothing of it is created."""
        have = [sub["event"] for sub in self.subscriptions if sub["app_id"] == app.client_id]
        most = self.script["subscription_limit"]
        if most is not None and len(have) + len(names) > most:
            return True
        for name in set(names):
            usual = CHAT_LIMIT if name == "chat.message.sent" else LIMIT
            if have.count(name) + names.count(name) \
                    > self.script["subscription_limits"].get(name, usual):
                return True
        return False

    def _create_one(self, app, user, event):
        name, version = event["name"], event["version"]
        error = self.script["subscription_errors"].get(name, "")
        if not self.script["webhooks_enabled"]:
            error = "webhooks are not enabled for this app"
        elif name not in events.TYPES or version != 1:
            error = error or "unknown event"
        number = "" if error else self._number_of(app, user, name)
        one = {"name": name, "version": version, "subscription_id": number, "error": error}
        if self.script["create_form"] == "sparse":
            one = {key: value for key, value in one.items() if value != ""}
        return one

    def _number_of(self, app, user, name):
        if name in self.script["phantoms"]:
            return ulid(self.now())
        if self.script["repeat"] == "same":
            for sub in self.subscriptions:
                if (sub["app_id"], sub["user"], sub["event"]) == (app.client_id, user, name):
                    return sub["id"]
        return self.subscribe(name, user, app.client_id)

    def subscribe(self, event, user=None, client_id=None):
        """Adds a subscription (a second one for the same event too); answers its id."""
        now = self.now()
        text = datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        owner = str(user or self.store.user().id)
        client_id = client_id or next(iter(self.store.apps))
        sub = {"app_id": client_id, "broadcaster_user_id": as_number(owner),
               "created_at": text, "event": event, "id": ulid(now), "method": "webhook",
               "updated_at": text, "version": 1, "user": owner, "born": now,
               "silent": False}
        with self.lock:
            self.subscriptions.append(sub)
        return sub["id"]

    # -- delete (4.3) --------------------------------------------------------------

    def delete(self, request):
        """204 for ids that do not exist, too; a body is a client that guesses."""
        grant, refusal = self.authorized(request, SCOPE)
        if refusal:
            return refusal
        ids = request.query_all("id")
        if request.body or not ids or set(request.query) - {"id"}:
            return self.failure(400, "invalid parameters")
        for sub in list(self.subscriptions):
            if sub["id"] in ids and self._may_touch(grant, sub):
                self.subscriptions.remove(sub)
                self.deleted.append(sub)
        return Response(204)

    # -- what happens to them, and looking -----------------------------------------

    def subscriptions_now(self):
        """What exists and what was removed (for ghost deliveries, 4.3)."""
        with self.lock:
            return {"live": list(self.subscriptions), "deleted": list(self.deleted)}

    def _choose(self, id=None, event=None, app_id=None):
        return [sub for sub in self.subscriptions
                if id in (None, sub["id"]) and event in (None, sub["event"])
                and app_id in (None, sub["app_id"])]

    def drop_subscriptions(self, id=None, event=None, app_id=None):
        """Kick's silent removals (3.3): one, one event's, an app's, or all of them."""
        with self.lock:
            gone = self._choose(id, event, app_id)
            self.subscriptions = [sub for sub in self.subscriptions if sub not in gone]
            self.deleted += gone
            return len(gone)

    def silence_subscriptions(self, id=None, event=None, silent=True):
        """Makes ghosts: they are listed, and nothing is delivered for them (#234, #419)."""
        with self.lock:
            chosen = self._choose(id, event)
            for sub in chosen:
                sub["silent"] = silent
            return len(chosen)

    def deliver(self, event, url=None, user=None, count=1, mode="valid", ghost=False,
                attempts=1, bodies=None, age_s=0, order="sent"):
        """Something happened on a channel: one delivery for each subscription to it.

        Doubled subscriptions get the same body under different ids (#246). ghost: to the
        removed subscriptions (#234). url: instead of the app's webhook_url. bodies: for each of
        several events the members that differ from the documented body, instead of count.
        age_s: so long ago the last of them happened and was sent, each a second after the one
        before; order="reversed": they arrive the last one first (#131, #233, #390).
        """
        assert order in ("sent", "reversed")
        owner = self.store.user(user)
        with self.lock:
            subs = [sub for sub in (self.deleted if ghost else self.subscriptions)
                    if sub["event"] == event and sub["user"] == owner.id
                    and not sub["silent"]]
        streamer = events.person(as_number(owner.id), owner.display_name)
        out = []
        bodies, now = [{}] * count if bodies is None else bodies, datetime.now(timezone.utc)
        many = [(number, age_s + len(bodies) - 1 - number if age_s or order == "reversed" else 0)
                for number in range(len(bodies))]
        for number, age in reversed(many) if order == "reversed" else many:
            body = {**events.aged(events.event(event, streamer, number=number), age),
                    **bodies[number]}
            body = events.encode(body)
            for sub in subs:
                one = build(event, self.signer, mode, body=body, subscription=sub["id"],
                            timestamp=events.stamp(-age / 86400, now))
                to = url or self.store.apps[sub["app_id"]].webhook_url
                reply = send(to, one, attempts=attempts)
                out.append({"id": one.message_id, "subscription_id": sub["id"],
                            "status": reply.status})
                if reply.status != 200:
                    self.delivery_failed(event, sub["app_id"])
                else:
                    self.failures.pop((sub["app_id"], event), None)
        return out

    def delivery_failed(self, event, client_id=None):
        """Counts a failure; the set number of them without a success in between removes
        the app's subscriptions to that event (3.3)."""
        with self.lock:
            app_id = client_id or next(iter(self.store.apps))
            key = (app_id, event)
            self.failures[key] = self.failures.get(key, 0) + 1
            most = self.script["drop_after_failures"]
            if not most or self.failures[key] < most:
                return 0
            del self.failures[key]
            return self.drop_subscriptions(event=event, app_id=app_id)
