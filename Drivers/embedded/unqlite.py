#!/usr/bin/env python3
"""UnQLite. Model: transactions.

Needs unqlite (PyPI). `config` is not used.
"""

import sys

sys.path[0] += "/.."
from driving import reply, serve, text

import os

import unqlite


class Driver:
    name = "unqlite"
    version = unqlite.UnQLite(":mem:").lib_version().decode()
    operations = ["put", "delete", "scan", "txn"]

    def open(self, request):
        self.db = unqlite.UnQLite(os.path.join(request["dir"], "data.unqlite"))
        list(self.db.items())  # UnQLite opens its file, and rolls its journal back, when it first reads.

    def txn(self, request):
        self.db.begin()
        for step in request["do"]:
            if step["op"] == "put":
                self.db.store(step["key"], step["value"])
            elif step["key"] in self.db:
                self.db.delete(step["key"])
        self.db.commit()

    def put(self, request):
        self.txn({"do": [request]})

    delete = put

    def scan(self, request):
        reply(request, items=[[text(key), text(value)] for key, value in self.db.items()])

    def close(self, request):
        self.db.close()


serve(Driver(), unqlite.UnQLiteError)
