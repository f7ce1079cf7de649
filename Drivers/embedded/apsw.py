#!/usr/bin/env python3
"""SQLite's newest release, as the package apsw has it. Model: transactions.

Needs apsw (PyPI). `config` has pragmas; the default is {"journal_mode": "WAL", "synchronous": "FULL"}.
Examples/drivers/sqlite.py is the driver of the system's SQLite.
"""

import sys

sys.path[0] += "/.."
from driving import reply, serve

import os

import apsw


class Driver:
    name = "sqlite"
    version = apsw.sqlite_lib_version()
    operations = ["put", "delete", "scan", "txn", "check"]

    def open(self, request):
        self.db = apsw.Connection(os.path.join(request["dir"], "data.sqlite"))
        for name, value in ({"journal_mode": "WAL", "synchronous": "FULL"} | request["config"]).items():
            self.db.execute(f"PRAGMA {name}={value}").fetchall()
        self.db.execute("CREATE TABLE IF NOT EXISTS map (key TEXT PRIMARY KEY, value TEXT)")

    def put(self, step):
        self.db.execute("INSERT OR REPLACE INTO map VALUES (?, ?)", (step["key"], step["value"]))

    def delete(self, step):
        self.db.execute("DELETE FROM map WHERE key = ?", (step["key"],))

    def txn(self, request):
        self.db.execute("BEGIN IMMEDIATE")
        for step in request["do"]:
            self.put(step) if step["op"] == "put" else self.delete(step)
        self.db.execute("COMMIT")

    def scan(self, request):
        # As text, whatever the column holds: what a crash has damaged may be NULL.
        reply(request, items=[[str(key), str(value)] for key, value in self.db.execute("SELECT key, value FROM map")])

    def check(self, request):
        answer = self.db.execute("PRAGMA integrity_check").fetchall()
        if answer != [("ok",)]:
            raise apsw.Error(str(answer))

    def close(self, request):
        self.db.close()


serve(Driver(), apsw.Error)
