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
        # Older versions know no isolation level: each statement is a transaction of its own there.
        options = {"isolation_level": None} if hasattr(turso, "Error") else {}
        self.db = turso.connect(os.path.join(request["dir"], "data.db"), **options)
        for name, value in request["config"].items():
            self.execute(f"PRAGMA {name}={value}").fetchall()
        self.execute("CREATE TABLE IF NOT EXISTS map (key TEXT PRIMARY KEY, value TEXT)")

    def execute(self, statement, values=()):
        cursor = self.db.cursor()
        cursor.execute(statement, values)
        return cursor

    def put(self, step):
        self.execute(
            "INSERT INTO map VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (step["key"], step["value"]))

    def delete(self, step):
        self.execute("DELETE FROM map WHERE key = ?", (step["key"],))

    def txn(self, request):
        self.execute("BEGIN")
        for step in request["do"]:
            self.put(step) if step["op"] == "put" else self.delete(step)
        self.execute("COMMIT")

    def scan(self, request):
        rows = self.execute("SELECT key, value FROM map").fetchall()
        reply(request, items=[[str(key), str(value)] for key, value in rows])

    def check(self, request):
        answer = self.execute("PRAGMA integrity_check").fetchall()
        if [tuple(row) for row in answer] != [("ok",)]:
            raise turso.DatabaseError(str(answer))

    def close(self, request):
        self.db.close()


errors = [getattr(turso, name) for name in dir(turso) if name.endswith("Error")]
serve(Driver(), *errors)
