#!/usr/bin/env python3
"""ZODB, the object database of Zope, on its FileStorage. Model: transactions.

Needs zodb (PyPI). `config` has arguments of FileStorage().
"""

import sys

sys.path[0] += "/.."
from driving import reply, serve

import os
from importlib.metadata import version

import transaction
import ZODB
from BTrees.OOBTree import OOBTree
from ZODB.FileStorage import FileStorage
from ZODB.POSException import POSError


class Driver:
    name = "zodb"
    version = version("zodb")
    operations = ["put", "delete", "scan", "txn"]

    def open(self, request):
        self.db = ZODB.DB(FileStorage(os.path.join(request["dir"], "data.fs"), **request["config"]))
        self.root = self.db.open().root()
        if "map" not in self.root:
            self.root["map"] = OOBTree()
            transaction.commit()

    def txn(self, request):
        with transaction.manager:  # commits at the end, aborts after an exception
            for step in request["do"]:
                if step["op"] == "put":
                    self.root["map"][step["key"]] = step["value"]
                else:
                    self.root["map"].pop(step["key"], None)

    def put(self, request):
        self.txn({"do": [request]})

    delete = put

    def scan(self, request):
        reply(request, items=list(self.root["map"].items()))

    def close(self, request):
        transaction.abort()
        self.db.close()


serve(Driver(), POSError, OSError)
