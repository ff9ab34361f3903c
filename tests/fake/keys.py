"""Kick's signing key and ids: RSA-2048 PKCS#1 v1.5 with SHA-256, and ULIDs (Kick 2.1, 2.2)."""
import base64
import secrets
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(at=None):
    """26 characters of upper-case Crockford base32: 48 bits of milliseconds, 80 random."""
    milliseconds = int((time.time() if at is None else at) * 1000)
    number = (milliseconds << 80) | secrets.randbits(80)
    return "".join(CROCKFORD[(number >> shift) & 31] for shift in range(125, -5, -5))


def public_pem(key):
    """SPKI PEM; without a newline after the END line, as the endpoint gives it."""
    data = key.public_key().public_bytes(serialization.Encoding.PEM,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)
    return data.decode().rstrip("\n")


def signed_bytes(message_id, timestamp, body):
    return f"{message_id}.{timestamp}.".encode("latin-1") + body


class Signer:
    """One RSA key. Made new (2048 bits) unless a private key in PEM is given."""

    def __init__(self, pem=None, bits=2048):
        if pem:
            self.key = serialization.load_pem_private_key(pem, None)
        else:
            self.key = rsa.generate_private_key(public_exponent=65537, key_size=bits)

    @classmethod
    def load(cls, path):
        with open(path, "rb") as file:
            return cls(file.read())

    @property
    def public_pem(self):
        return public_pem(self.key)

    @property
    def private_pem(self):
        return self.key.private_bytes(serialization.Encoding.PEM,
                                      serialization.PrivateFormat.PKCS8,
                                      serialization.NoEncryption())

    def sign_raw(self, data):
        return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())

    def sign(self, message_id, timestamp, body):
        """The Kick-Event-Signature header: standard base64, 344 characters."""
        raw = self.sign_raw(signed_bytes(message_id, timestamp, body))
        return base64.b64encode(raw).decode()


def odd_key(kind):
    """A public key that must be refused: ``rsa1024``, ``ec`` or ``garbage``."""
    if kind == "rsa1024":
        return public_pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))
    if kind == "ec":
        return public_pem(ec.generate_private_key(ec.SECP256R1()))
    return "-----BEGIN PUBLIC KEY-----\nbm90IGEga2V5\n-----END PUBLIC KEY-----"
