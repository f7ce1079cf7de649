#!/usr/bin/env python3
"""TDB, the database of Samba. Model: transactions.

Needs Debian's python3-tdb and tdb-tools. `config`, with its default: {"flags": ""}, names of TDB's flags separated by
spaces. "NOSYNC" syncs nothing.
"""

import sys

sys.path[0] += "/.."
from driving import reply, run, serve, text

import os

import tdb


class Driver:
    name = "tdb"
    version = tdb.__version__
    operations = ["put", "delete", "scan", "txn", "check"]

    def open(self, request):
        flags = tdb.DEFAULT
        for name in request["config"].get("flags", "").split():
            flags |= getattr(tdb, name)
        self.path = os.path.join(request["dir"], "map.tdb")
        self.db = tdb.Tdb(self.path, 0, flags, os.O_RDWR | os.O_CREAT)

    def txn(self, request):
        self.db.transaction_start()
        for step in request["do"]:
            key = step["key"].encode()
            if step["op"] == "put":
                self.db.store(key, step["value"].encode())
            elif self.db.get(key) is not None:
                self.db.delete(key)
        self.db.transaction_commit()

    def put(self, request):
        self.txn({"do": [request]})

    delete = put

    def scan(self, request):
        reply(request, items=[[text(key), text(self.db.get(key))] for key in self.db])

    def check(self, request):
        run(["tdbtool", self.path, "check"])

    def close(self, request):
        self.db.close()


serve(Driver(), RuntimeError, OSError)
