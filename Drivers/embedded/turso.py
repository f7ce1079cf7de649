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

    # Older versions begin transactions by themselves, as Python's sqlite3 does where nothing is said.
    begins = not hasattr(turso, "Error")

    def open(self, request):
        options = {} if self.begins else {"isolation_level": None}
        self.db = turso.connect(os.path.join(request["dir"], "data.db"), **options)
        for name, value in request["config"].items():
            self.execute(f"PRAGMA {name}={value}").fetchall()
        self.execute("CREATE TABLE IF NOT EXISTS map (key TEXT PRIMARY KEY, value TEXT)")
        self.commit()

    def execute(self, statement, values=()):
        cursor = self.db.cursor()
        cursor.execute(statement, values)
        return cursor

    def commit(self):
        if self.begins:
            self.db.commit()

    def change(self, step):
        if step["op"] == "put":
            self.execute(
                "INSERT INTO map VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (step["key"], step["value"]))
        else:
            self.execute("DELETE FROM map WHERE key = ?", (step["key"],))

    def put(self, request):
        self.change(request)
        self.commit()

    delete = put

    def txn(self, request):
        if not self.begins:
            self.execute("BEGIN")
        for step in request["do"]:
            self.change(step)
        self.execute("COMMIT") if not self.begins else self.commit()

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
