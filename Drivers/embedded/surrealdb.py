#!/usr/bin/env python3
"""SurrealDB, embedded, on its own store SurrealKV. Model: transactions.

Needs surrealdb (PyPI). `config` has variables of SurrealDB's environment, for example {"SURREAL_SYNC_DATA": "true"}.
"""

import sys

sys.path[0] += "/.."
from driving import reply, serve

import os
from importlib.metadata import version

from surrealdb import Surreal
from surrealdb.errors import SurrealError


class Driver:
    name = "surrealdb"
    version = version("surrealdb")
    operations = ["put", "delete", "scan", "txn"]

    def open(self, request):
        # What a scenario quotes as "true" comes as a truth value.
        os.environ.update({name: str(value).lower() for name, value in request["config"].items()})
        self.db = Surreal("surrealkv://" + os.path.join(request["dir"], "store"))
        self.db.use("tornlog", "tornlog")

    def txn(self, request):
        statements, values = ["BEGIN;"], {}
        for number, step in enumerate(request["do"]):
            values |= {f"k{number}": step["key"], f"v{number}": step.get("value")}
            record = f"type::thing('map', $k{number})"
            statements.append(f"UPSERT {record} SET v = $v{number};" if step["op"] == "put" else f"DELETE {record};")
        self.db.query(" ".join(statements + ["COMMIT;"]), values)

    def put(self, request):
        self.txn({"do": [request]})

    delete = put

    def scan(self, request):
        reply(request, items=[[row["id"].id, row["v"]] for row in self.db.query("SELECT * FROM map;")])

    def close(self, request):
        self.db.close()


serve(Driver(), SurrealError, RuntimeError, OSError)
