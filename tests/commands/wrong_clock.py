"""A server whose certificate is out of date by the device's clock: a wrong clock's effect."""

import contextlib
import pathlib
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta

from penguindome import certs
from penguindome.times import utc_now


@contextlib.contextmanager
def out_of_date(state: pathlib.Path, folder: pathlib.Path, *, port: int, days: int) -> Iterator:
    """Answer TLS at a port with a certificate of the fleet's own anchor, days away from now."""
    authority, start = state / "authority", utc_now() + timedelta(days=days)
    key = certs.generate_key()
    certificate = certs.issue(
        authority_pem=(authority / "anchor.pem").read_bytes(),
        authority_key_pem=(authority / "anchor-key.pem").read_bytes(),
        spki=certs.key_spki(key),
        ip_addresses=["127.0.0.1"],
        client=False,
        not_before=start,
        not_after=start + timedelta(days=5),
    )
    (folder / "c.pem").write_bytes(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "c.pem")
    context.set_alpn_protocols(["h2"])
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(0.2)
        thread = threading.Thread(target=_answer, args=(listener, context, stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def _answer(listener: socket.socket, context: ssl.SSLContext, stop: threading.Event) -> None:
    while not stop.is_set():
        with contextlib.suppress(OSError):
            caller, _ = listener.accept()
            caller.settimeout(2)
            with caller, context.wrap_socket(caller, server_side=True):
                pass
