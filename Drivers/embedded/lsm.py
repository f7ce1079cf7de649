#!/usr/bin/env python3
"""lsm1, SQLite's log-structured merge tree. Model: transactions.

Needs lsm-db (PyPI). `config` has arguments of LSM(), for example {"write_safety": 2}: 0 is LSM_SAFETY_OFF, 1 is
LSM_SAFETY_NORMAL, the default, and 2 is LSM_SAFETY_FULL.
"""

import sys

sys.path[0] += "/.."
from driving import reply, serve, text

import os
from importlib.metadata import version

import lsm


class Driver:
    name = "lsm1"
    version = version("lsm-db")
    operations = ["put", "delete", "scan", "txn"]

    def open(self, request):
        self.db = lsm.LSM(os.path.join(request["dir"], "data.lsm"), **request["config"])

    def put(self, step):
        self.db.insert(step["key"], step["value"])

    def delete(self, step):
        self.db.delete(step["key"])

    def txn(self, request):
        with self.db.transaction():
            for step in request["do"]:
                self.put(step) if step["op"] == "put" else self.delete(step)

    def scan(self, request):
        reply(request, items=[[text(key), text(value)] for key, value in self.db])

    def close(self, request):
        self.db.close()


serve(Driver(), OSError, MemoryError, SystemError)
