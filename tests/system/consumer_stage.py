"""What the tests of consumers share: a daemon that takes deliveries, and deliveries."""
from tests.fake import delivery as making
from tests.fake.keys import Signer
from tests.fake.sender import send

SIGNER = Signer()

# Attempts follow each other fast, so that tests do not wait.
FAST = {"consumers": {"push_retry_ms": 20, "push_retry_max_s": 1}}


def start(streamhold, folder, config=None, **options):
    key = folder / "kick.pem"
    key.write_text(SIGNER.public_pem)
    whole = {"platforms": {"kick": {"public_key_file": str(key)}}, **FAST}
    whole.update(config or {})
    return streamhold(whole, **options)


def deliver(daemon, count=1, kind="chat.message.sent", **options):
    for _ in range(count):
        reply = send(f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick",
                     making.build(kind, SIGNER, "valid", **options))
        assert reply.status == 200, reply


def seqs(page):
    return [event["seq"] for event in page["events"]]


def marked(page):
    """The seqs of those that are marked as redelivered."""
    return [event["seq"] for event in page["events"] if "redelivered" in event["flags"]]
