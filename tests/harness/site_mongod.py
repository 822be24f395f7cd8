"""A site's own MongoDB: a replica set or a standalone server, with logins and TLS if wanted."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Self
from urllib.parse import quote_plus

import pymongo
from pymongo.errors import PyMongoError

from penguind.mongod.child import find_mongod
from penguindome import certs
from tests.harness.ports import free_port
from tests.harness.process import ENDS_WITH_US, wait_until

PASSWORD = "p@ss:w/rd %41"
SET = "site"


class SiteMongod:
    """A mongod on a TCP port of this machine; leaving it ends it and removes its files.

    Attributes:
        port: where it listens.
        folder: holds `ca.pem`, and for tests `other-ca.pem`, an authority that signed nothing.

    """

    def __init__(self, *, secure: bool = False, replica_set: str = SET) -> None:
        """Choose what it is; nothing runs yet.

        Args:
            secure: Whether it wants a login and TLS.
            replica_set: The set's name; empty for a standalone server.

        """
        self.port = free_port()
        self.folder = Path(mkdtemp(prefix="pd", dir="/tmp"))
        self.folder.chmod(0o755)
        self._secure = secure
        self._set = replica_set
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it, and make it usable."""
        try:
            if self._secure:
                self._make_secrets()
            self.start()
            if self._set:
                self._initiate()
            if self._secure:
                self._add_user()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()

    @property
    def uri(self) -> str:
        """Return its address, without login and set."""
        return f"mongodb://127.0.0.1:{self.port}/"

    @property
    def full_uri(self) -> str:
        """Return an address that says everything, as tests take it from outside."""
        login = "penguind:" + quote_plus(PASSWORD) + "@"
        more = f"?replicaSet={self._set}&tls=true&tlsCAFile={self.folder}/ca.pem&authSource=admin"
        return f"mongodb://{login}127.0.0.1:{self.port}/{more}"

    def start(self) -> None:
        """Start the process and wait until it answers."""
        executable = find_mongod()
        assert executable is not None
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        words = ["setpriv", ENDS_WITH_US, "--", str(executable), "--dbpath", str(data)]
        words += ["--bind_ip", "127.0.0.1", "--port", str(self.port), "--nounixsocket"]
        words += ["--oplogSize", "64", "--wiredTigerCacheSizeGB", "0.25"]
        words += ["--wiredTigerEngineConfigString", "log=(file_max=8MB,prealloc=false)"]
        words += ["--setParameter", "diagnosticDataCollectionEnabled=false"]
        words += ["--replSet", self._set] if self._set else []
        if self._secure:
            words += ["--auth", "--tlsMode", "requireTLS"]
            words += ["--keyFile", str(self.folder / "set-key")] if self._set else []
            words += ["--tlsCertificateKeyFile", str(self.folder / "server.pem")]
            words += ["--tlsCAFile", str(self.folder / "ca.pem")]
            words += ["--tlsAllowConnectionsWithoutCertificates"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log, cwd="/")
        wait_until(self._answers, 60, "mongod does not answer")

    def stop(self) -> None:
        """End the process as a crash would; data stay."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None

    def close(self) -> None:
        """End the process and remove its files."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def client(self, **options: Any) -> pymongo.MongoClient[dict[str, Any]]:
        """Return a client that needs no set."""
        if self._secure:
            options |= {"tls": True, "tlsCAFile": str(self.folder / "ca.pem")}
        return pymongo.MongoClient(
            self.uri, directConnection=True, serverSelectionTimeoutMS=2000, **options
        )

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()[-3000:]
        with contextlib.suppress(PyMongoError), self.client() as client:
            client.admin.command("ping")
            return True
        return False

    def _initiate(self) -> None:
        host = f"127.0.0.1:{self.port}"
        with self.client() as client:
            config = {"_id": self._set, "members": [{"_id": 0, "host": host}]}
            client.admin.command("replSetInitiate", config)

            def leads() -> bool:
                return bool(client.admin.command("hello")["isWritablePrimary"])

            wait_until(leads, 30, "no primary")

    def _add_user(self) -> None:
        # Until there is a user, MongoDB lets whoever comes from this machine make the first one.
        roles = ["readWriteAnyDatabase", "dbAdminAnyDatabase"]
        with self.client() as client:
            root = {"createUser": "root", "pwd": PASSWORD, "roles": ["root"]}
            client.admin.command(root)
        with self.client(username="root", password=PASSWORD) as client:
            client.admin.command({"createUser": "penguind", "pwd": PASSWORD, "roles": roles})

    def _make_secrets(self) -> None:
        (self.folder / "set-key").write_text(secrets.token_hex(60))
        (self.folder / "set-key").chmod(0o600)
        now = datetime.now(UTC) - timedelta(minutes=5)
        authority_key = certs.generate_key()
        for name in ("ca", "other-ca"):
            pem = certs.make_authority(
                f"MongoDB {name}",
                key_pem=authority_key if name == "ca" else certs.generate_key(),
                now=now,
                lifetime=timedelta(days=9),
                path_length=None,
                client_auth_only=False,
            )
            (self.folder / f"{name}.pem").write_bytes(pem)
        key = certs.generate_key()
        leaf = certs.issue(
            authority_pem=(self.folder / "ca.pem").read_bytes(),
            authority_key_pem=authority_key,
            spki=certs.key_spki(key),
            ip_addresses=["127.0.0.1"],
            client=False,
            not_before=now,
            not_after=now + timedelta(days=8),
        )
        descriptor = os.open(self.folder / "server.pem", os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(leaf + key)
