#!/usr/bin/env python3
"""LMDB, with the check of mdb_copy -c. Model: transactions.

Needs Debian's python3-lmdb. `config` is passed to lmdb.open(), for example {"sync": false} or {"metasync": false}.
Its default here is {"map_size": 67108864}: LMDB must know the largest size of the file.
"""

import sys

sys.path[0] += "/.."
from driving import reply, serve, text

import os

import lmdb


class Driver:
    name = "lmdb"
    version = "%d.%d.%d" % lmdb.version()
    operations = ["put", "delete", "scan", "txn", "flush", "check"]

    def open(self, request):
        self.db = lmdb.open(request["dir"], **{"map_size": 64 << 20} | request["config"])

    def txn(self, request):
        with self.db.begin(write=True) as transaction:  # commits at the end, aborts after an exception
            for step in request["do"]:
                if step["op"] == "put":
                    transaction.put(step["key"].encode(), step["value"].encode())
                else:
                    transaction.delete(step["key"].encode())

    def put(self, request):
        self.txn({"do": [request]})

    delete = put

    def scan(self, request):
        with self.db.begin() as transaction:
            reply(request, items=[[text(key), text(value)] for key, value in transaction.cursor()])

    def flush(self, request):
        self.db.sync(True)

    def check(self, request):
        with open(os.devnull, "wb") as nothing:
            self.db.copyfd(nothing.fileno(), compact=True)  # what `mdb_copy -c` does: it reads every page

    def close(self, request):
        self.db.close()


serve(Driver(), lmdb.Error)
