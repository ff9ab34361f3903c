"""Test vectors of the Twitch/Google/standards fact sheet, section 8 (G), for every test."""

PKCE_VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
PKCE_CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
PKCE_OCTETS = bytes((
    116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212, 37,
    77, 105, 214, 191, 240, 91, 88, 5, 88, 83, 132, 141, 121))

EVENTSUB_SECRET = b"0123456789abcdef0123456789abcdef"
EVENTSUB_ID = "befa7b53-d79d-478f-86b9-120f112b044e"
EVENTSUB_TIMESTAMP = "2026-01-02T03:04:05.678901234Z"
EVENTSUB = (   # (body, signature header)
    (b'{"k":"v"}',
     "sha256=3504d7fe2d17949315abe96d34455084622d14c4b435e2ec8c3447cadacf1489"),
    (b'{"challenge":"pogchamp-\xe2\x98\x83"}',
     "sha256=c8fad7c65fbaa0a7cd6f86e820593063914ca6f1d958fbeb29c8c5a6cfa8beef"),
)

STANDARD_WEBHOOKS_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD_WEBHOOKS_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
STANDARD_WEBHOOKS_TIMESTAMP = "1614265330"
STANDARD_WEBHOOKS_BODY = b'{"test": 2432232314}'
STANDARD_WEBHOOKS_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

WEBSUB_KEY, WEBSUB_BODY = b"hub-secret", b"<feed/>"
WEBSUB = {
    "sha1": "d07260cad34b4772d7f4167f7e45b4d5f26fe2a1",
    "sha256": "61dad5919d4ef6db9579425b5bafae84aed088ea3e9a02988a2b898250ee0f0a",
    "sha384": "cf4c11961b9be17c96400999c124a72faced1c1c6290d624d5234d26e6d85479"
              "b053dc840d14a6bc4b00b753e7387941",
    "sha512": "a1e3a9e80e4a05fbc14bfcf8aa910644a8b5c665aa2aa8c323edf29d3cb928ce"
              "a28a80101031e65bfb04f466d1516c746646d02ef37474f24c80c2de17879073",
}

# Kick's published key: SHA-256 of its DER form (Kick 2.1)
KICK_KEY_DER_SHA256 = "407899e1bb8e86c10ecc032cd8c5d02f1180e8b3c58686ddfe1fb541d8a646aa"
