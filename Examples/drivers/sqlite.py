#!/usr/bin/env python3
"""SQLite behind the driver protocol, version 1 (docs/driver-protocol.md). Model: transactions, map.

    tornlog test -- python3 Examples/drivers/sqlite.py

Needs nothing but Python. `config`, with its defaults: {"journal_mode": "WAL", "synchronous": "FULL"}.
To test a program of your own, replace the methods of `Driver`. The loop below them stays as it is.
"""

import json
import os
import sqlite3
import sys


class Driver:
    """One method for each operation. What it returns are the members of the reply beside `id` and `ok`."""
    operations = ["put", "delete", "get", "scan", "txn", "check"]
    db = None

    def hello(self, request):
        # After `close` SQLite keeps nothing in this process: the next `open` may be of another folder.
        return {"name": "sqlite", "version": sqlite3.sqlite_version, "ops": self.operations, "reopens": True}

    def open(self, request):
        config = {"journal_mode": "WAL", "synchronous": "FULL"} | request["config"]
        # isolation_level=None: each statement is a transaction of its own, unless BEGIN says otherwise.
        self.db = sqlite3.connect(os.path.join(request["dir"], "data.sqlite"), isolation_level=None)
        for name, value in config.items():
            answer = self.db.execute(f"PRAGMA {name}={value}").fetchone()  # SQLite answers with the mode that it has.
            if name == "journal_mode" and answer[0].lower() != str(value).lower():
                raise ValueError(f"journal_mode is {answer[0]}, and not {value}")
        # Not only where `create` is true: the power may go before the table is there.
        self.db.execute("CREATE TABLE IF NOT EXISTS map (key TEXT PRIMARY KEY, value TEXT)")

    def put(self, request):
        self.db.execute("INSERT OR REPLACE INTO map VALUES (?, ?)", (request["key"], request["value"]))

    def delete(self, request):
        self.db.execute("DELETE FROM map WHERE key = ?", (request["key"],))

    def get(self, request):
        row = self.db.execute("SELECT value FROM map WHERE key = ?", (request["key"],)).fetchone()
        return {"value": row[0] if row else None}

    def scan(self, request):
        # As text, whatever the column holds: what a crash has damaged may be NULL.
        reply(request, items=[[str(key), str(value)] for key, value in self.db.execute("SELECT key, value FROM map")])

    def txn(self, request):
        with self.db:  # COMMIT at the end, ROLLBACK after an exception
            self.db.execute("BEGIN IMMEDIATE")
            for step in request["do"]:
                self.put(step) if step["op"] == "put" else self.delete(step)

    def check(self, request):
        answer = self.db.execute("PRAGMA integrity_check").fetchall()
        if answer != [("ok",)]:
            raise sqlite3.DatabaseError(str(answer))

    def close(self, request):
        if self.db:
            self.db.close()

def reply(request, **members):
    print(json.dumps({"id": request["id"], **members}), flush=True)

driver = Driver()
for line in sys.stdin:
    request = json.loads(line)
    try:
        if request["op"] not in driver.operations + ["hello", "open", "close"]:
            raise NotImplementedError(request["op"])
        members = getattr(driver, request["op"])(request)
    except sqlite3.Error as error:  # The program failed: its own words. Without `outcome` that means: unknown.
        reply(request, ok=False, error=str(error))
    except Exception as error:  # The driver failed. That says nothing about the program.
        reply(request, ok=False, outcome="driver", error=repr(error))
    else:
        reply(request, ok=True, **(members or {}))
