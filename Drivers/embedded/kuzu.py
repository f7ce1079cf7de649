#!/usr/bin/env python3
"""Kuzu, a graph database. Model: transactions.

Needs kuzu (PyPI). `config` has arguments of Database(), for example {"checkpoint_threshold": 16384}.
"""

import sys

sys.path[0] += "/.."
from driving import reply, serve

import os

import kuzu


class Driver:
    name = "kuzu"
    version = kuzu.version
    operations = ["put", "delete", "scan", "txn"]

    def open(self, request):
        self.db = kuzu.Database(os.path.join(request["dir"], "data.kuzu"), max_num_threads=1, max_db_size=1 << 30,
                                buffer_pool_size=64 << 20, **request["config"])
        self.connection = kuzu.Connection(self.db)
        self.query("CREATE NODE TABLE IF NOT EXISTS map (k STRING PRIMARY KEY, v STRING)")

    def query(self, statement, **values):
        return self.connection.execute(statement, values).get_all()

    def put(self, step):
        self.query("MERGE (n:map {k: $k}) SET n.v = $v", k=step["key"], v=step["value"])

    def delete(self, step):
        self.query("MATCH (n:map {k: $k}) DELETE n", k=step["key"])

    def txn(self, request):
        self.query("BEGIN TRANSACTION")
        for step in request["do"]:
            self.put(step) if step["op"] == "put" else self.delete(step)
        self.query("COMMIT")

    def scan(self, request):
        reply(request, items=self.query("MATCH (n:map) RETURN n.k, n.v"))

    def close(self, request):
        self.connection.close()
        self.db.close()


# Kuzu reports its errors as RuntimeError, and what its standard library throws as IndexError.
serve(Driver(), RuntimeError, IndexError)
