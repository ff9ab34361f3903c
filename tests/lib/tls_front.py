"""TLS in front of a fake platform: what it decrypts goes to the plain port, and back."""
import datetime
import ipaddress
import socket
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def certificate(folder, stem="ca", host="127.0.0.1", days=(-1, 1)):
    """A certificate that signs itself, for an address or a name, good between two days from now;
    gives its file and the context."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"fake platforms {stem}")])
    now = datetime.datetime.now(datetime.timezone.utc)
    try:
        known = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        known = x509.DNSName(host)
    names = x509.SubjectAlternativeName([known])
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
            .public_key(key.public_key()).serial_number(1)
            .not_valid_before(now + datetime.timedelta(days=days[0]))
            .not_valid_after(now + datetime.timedelta(days=days[1]))
            .add_extension(names, False)
            .add_extension(x509.BasicConstraints(True, None), True)
            .sign(key, hashes.SHA256()))
    cert, pem = folder / f"{stem}.pem", folder / f"{stem}_key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem.write_bytes(key.private_bytes(serialization.Encoding.PEM,
                                      serialization.PrivateFormat.PKCS8,
                                      serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, pem)
    return cert, context


class TlsFront:
    """url(plain): the https address that leads to it. One listener for each plain port. `host` is
    what the machine calls 127.0.0.1."""

    def __init__(self, folder, host="127.0.0.1"):
        self.host = host
        self.ca_file, self.context = certificate(folder, host=host)
        self.listeners = {}
        self.connections = 0

    def url(self, plain):
        host, _, path = plain.removeprefix("http://").partition("/")
        port = int(host.rsplit(":", 1)[1])
        if port not in self.listeners:
            self.listeners[port] = socket.create_server(("127.0.0.1", 0))
            threading.Thread(target=self._accept, args=(self.listeners[port], port),
                             daemon=True).start()
        mine = self.listeners[port].getsockname()[1]
        return f"https://{self.host}:{mine}/{path}"

    def _accept(self, listener, port):
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain, port), daemon=True).start()

    def _serve(self, plain, port):
        try:
            with self.context.wrap_socket(plain, server_side=True) as near, \
                    socket.create_connection(("127.0.0.1", port)) as far:
                self.connections += 1
                back = threading.Thread(target=self._copy, args=(far, near), daemon=True)
                back.start()
                self._copy(near, far)
                back.join(10)
        except OSError:
            pass

    @staticmethod
    def _copy(source, to):
        try:
            while data := source.recv(65536):
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def config(self, platforms):
        """The section `platforms` with every address but the browser's behind TLS."""
        return {name: {**{key: self.url(value) if key.endswith("_url")
                          and key != "authorize_url" else value
                          for key, value in platform.items()}, "ca_file": str(self.ca_file)}
                for name, platform in platforms.items()}

    def stop(self):
        for listener in self.listeners.values():
            listener.close()
