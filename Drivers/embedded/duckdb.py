#!/usr/bin/env python3
"""DuckDB. Model: transactions.

Needs duckdb (PyPI). `config` has settings, for example {"checkpoint_threshold": "16KB"}.
"""

import sys

sys.path[0] += "/.."
from driving import reply, serve

import os

import duckdb


class Driver:
    name = "duckdb"
    version = duckdb.__version__
    operations = ["put", "delete", "scan", "txn"]

    def open(self, request):
        self.db = duckdb.connect(os.path.join(request["dir"], "data.duckdb"), config={"threads": 1} | request["config"])
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
        reply(request, items=self.db.execute("SELECT key, value FROM map").fetchall())

    def close(self, request):
        self.db.close()


serve(Driver(), duckdb.Error)
