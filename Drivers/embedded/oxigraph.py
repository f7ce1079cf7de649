#!/usr/bin/env python3
"""Oxigraph, a SPARQL database on RocksDB. Model: transactions, a quad for each key.

Needs pyoxigraph (PyPI). `config` is not used.
"""

import sys

sys.path[0] += "/.."
from driving import reply, serve

from importlib.metadata import version

import pyoxigraph
from pyoxigraph import Literal, NamedNode

IS = NamedNode("urn:is")


class Driver:
    name = "oxigraph"
    version = version("pyoxigraph")
    operations = ["put", "delete", "scan", "txn", "flush"]

    def open(self, request):
        self.db = pyoxigraph.Store(request["dir"])

    def txn(self, request):  # one update is one transaction
        updates = []
        for step in request["do"]:
            updates.append(f"DELETE WHERE {{ <urn:{step['key']}> {IS} ?value }}")
            if step["op"] == "put":
                updates.append(f"INSERT DATA {{ <urn:{step['key']}> {IS} {Literal(step['value'])} }}")
        self.db.update(";\n".join(updates))

    def put(self, request):
        self.txn({"do": [request]})

    delete = put

    def scan(self, request):
        quads = self.db.quads_for_pattern(None, IS, None)
        reply(request, items=[[quad.subject.value.removeprefix("urn:"), quad.object.value] for quad in quads])

    def flush(self, request):
        self.db.flush()

    def close(self, request):
        self.db = None


serve(Driver(), OSError)
