"""A MongoDB of the administrator's own: a replica set that wants user and password."""

import contextlib
import pathlib
import secrets
import subprocess
import time

import pymongo
from pymongo.errors import PyMongoError

from penguind.mongod import find_mongod
from tests.harness import ports

USER, PASSWORD = "penguin", 'wor"d \\ pass'


class LockedMongod:
    """Runs while it is entered; `uri` names neither user nor password."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.port = ports.free_port()
        self.uri = f"mongodb://127.0.0.1:{self.port}/?replicaSet=site"
        self._folder = folder
        self._process: subprocess.Popen | None = None

    def __enter__(self):
        data, key = self._folder / "db", self._folder / "key"
        data.mkdir(parents=True)
        key.write_text(secrets.token_hex(32))
        key.chmod(0o600)
        self._process = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig=KILL", "--", str(find_mongod())),
                *("--dbpath", str(data), "--port", str(self.port), "--bind_ip", "127.0.0.1"),
                *("--replSet", "site", "--keyFile", str(key), "--nounixsocket", "--quiet"),
                *("--oplogSize", "64", "--wiredTigerCacheSizeGB", "0.25"),
            ],
            stdout=subprocess.DEVNULL,
            cwd="/",
        )
        try:
            self._make_user()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(30)

    def _make_user(self):
        # Allowed from this machine as long as there is no user: "localhost exception".
        client = pymongo.MongoClient("127.0.0.1", self.port, directConnection=True)
        with contextlib.closing(client):
            member = {"_id": 0, "host": f"127.0.0.1:{self.port}"}
            client.admin.command("replSetInitiate", {"_id": "site", "members": [member]})
            end = time.monotonic() + 30
            while not self._created(client):
                assert time.monotonic() < end, "no primary"
                time.sleep(0.1)

    def _created(self, client):
        try:
            client.admin.command("createUser", USER, pwd=PASSWORD, roles=["root"])
        except PyMongoError:
            return False
        return True
