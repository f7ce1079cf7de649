#!/usr/bin/env python3
"""diskcache, a cache on SQLite and files. Model: transactions.

Needs diskcache (PyPI). `config` has arguments of Cache(), for example {"sqlite_synchronous": 2}.
"""

import sys

sys.path[0] += "/.."
from driving import reply, serve

import os
import sqlite3

import diskcache


class Driver:
    name = "diskcache"
    version = diskcache.__version__
    operations = ["put", "delete", "scan", "txn", "check"]

    def open(self, request):
        # No eviction: it is a cache, and forgets what it has no room for. Values above 256 bytes go to files.
        self.db = diskcache.Cache(
            os.path.join(request["dir"], "cache"), eviction_policy="none", disk_min_file_size=256, **request["config"])

    def put(self, step):
        self.db.set(step["key"], step["value"])

    def delete(self, step):
        self.db.delete(step["key"])

    def txn(self, request):
        with self.db.transact():
            for step in request["do"]:
                self.put(step) if step["op"] == "put" else self.delete(step)

    def scan(self, request):
        reply(request, items=[[key, value] for key in self.db if (value := self.db.get(key)) is not None])

    def check(self, request):
        if found := self.db.check():
            raise sqlite3.DatabaseError("; ".join(str(warning.message) for warning in found))

    def close(self, request):
        self.db.close()


serve(Driver(), sqlite3.Error, diskcache.Timeout, OSError, EOFError)
