"""A server certificate by a company's own authority, without anything between."""

import os
from datetime import timedelta

from penguindome import certs
from penguindome.times import utc_now
from tests.harness.server import NOBODY


def own_certificate(folder):
    """Write a certificate of a company's own authority, and its key; return both paths."""
    authority_key, key = certs.generate_key(), certs.generate_key()
    start = utc_now() - timedelta(minutes=5)
    authority = certs.make_authority(
        "Corporate",
        key_pem=authority_key,
        now=start,
        lifetime=timedelta(days=90),
        path_length=None,
        client_auth_only=False,
    )
    certificate = certs.issue(
        authority_pem=authority,
        authority_key_pem=authority_key,
        spki=certs.key_spki(key),
        ip_addresses=["127.0.0.1"],
        client=False,
        not_before=start,
        not_after=start + timedelta(days=60),
    )
    paths = folder / "own.pem", folder / "own-key.pem"
    paths[0].write_bytes(certificate + authority)
    paths[1].write_bytes(key)
    paths[1].chmod(0o600)
    if os.geteuid() == 0:
        os.chown(paths[1], NOBODY, NOBODY)
    return paths
