#!/usr/bin/env python3
"""libmdbx, a descendant of LMDB. Model: transactions.

Needs libmdbx (PyPI). `config`, with its default: {"flags": ""}, names of MDBXEnvFlags without MDBX_, separated by
spaces, for example "SAFE_NOSYNC" or "WRITEMAP".
"""

import sys

sys.path[0] += "/.."
from driving import reply, serve, text

import os
from importlib.metadata import version

import mdbx


class Driver:
    name = "libmdbx"
    version = version("libmdbx")
    operations = ["put", "delete", "scan", "txn", "flush"]

    def open(self, request):
        flags = mdbx.MDBXEnvFlags.MDBX_ENV_DEFAULTS
        for name in request["config"].get("flags", "").split():
            flags |= mdbx.MDBXEnvFlags["MDBX_" + name]
        self.db = mdbx.Env(request["dir"], flags=flags, maxdbs=1)

    def txn(self, request):
        with self.db.rw_transaction() as transaction:
            with transaction.open_map() as table:
                for step in request["do"]:
                    if step["op"] == "put":
                        table.put(transaction, step["key"].encode(), step["value"].encode())
                    elif table.get(transaction, step["key"].encode()) is not None:
                        table.delete(transaction, step["key"].encode())
            transaction.commit()

    def put(self, request):
        self.txn({"do": [request]})

    delete = put

    def scan(self, request):
        with self.db.ro_transaction() as transaction, transaction.cursor(None) as cursor:
            reply(request, items=[[text(key), text(value)] for key, value in cursor.iter()])

    def flush(self, request):
        self.db.sync(True)

    def close(self, request):
        self.db.close()


serve(Driver(), mdbx.MDBXErrorExc, OSError)
