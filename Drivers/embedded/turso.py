#!/usr/bin/env python3
"""Turso, a database in Rust that reads and writes SQLite's files. Model: transactions.

Needs pyturso (PyPI). `config` has pragmas; Turso's own defaults are WAL and synchronous FULL.
"""

import sys

sys.path[0] += "/.."
from driving import reply, serve

import os
from importlib.metadata import version

import turso


class Driver:
    name = "turso"
    version = version("pyturso")
    operations = ["put", "delete", "scan", "txn", "check"]

    def open(self, request):
        self.db = turso.connect(os.path.join(request["dir"], "data.db"), isolation_level=None)
        for name, value in request["config"].items():
            self.db.execute(f"PRAGMA {name}={value}").fetchall()
        self.db.execute("CREATE TABLE IF NOT EXISTS map (key TEXT PRIMARY KEY, value TEXT)")

    def put(self, step):
        self.db.execute("INSERT OR REPLACE INTO map VALUES (?, ?)", (step["key"], step["value"]))

    def delete(self, step):
        self.db.execute("DELETE FROM map WHERE key = ?", (step["key"],))

    def txn(self, request):
        self.db.execute("BEGIN")
        for step in request["do"]:
            self.put(step) if step["op"] == "put" else self.delete(step)
        self.db.execute("COMMIT")

    def scan(self, request):
        rows = self.db.execute("SELECT key, value FROM map").fetchall()
        reply(request, items=[[str(key), str(value)] for key, value in rows])

    def check(self, request):
        answer = self.db.execute("PRAGMA integrity_check").fetchall()
        if [tuple(row) for row in answer] != [("ok",)]:
            raise turso.DatabaseError(str(answer))

    def close(self, request):
        self.db.close()


serve(Driver(), turso.Error)
