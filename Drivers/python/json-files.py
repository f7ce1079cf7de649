#!/usr/bin/env python3
"""Maps that keep everything in one JSON file: TinyDB and pickleDB. Model: map.

Needs tinydb or pickledb (PyPI). The only argument of the command is the name of the package.
"""

import sys

sys.path[0] += "/.."
from driving import Failed, reply, serve

import importlib
import os
from importlib.metadata import version

KIND = sys.argv[1]
library = importlib.import_module(KIND)


class TinyDB:
    def __init__(self, path):
        self.db = library.TinyDB(path)

    def put(self, key, value):
        self.db.upsert({"key": key, "value": value}, library.where("key") == key)

    def delete(self, key):
        self.db.remove(library.where("key") == key)

    def items(self):
        return [[row["key"], row["value"]] for row in self.db]

    def close(self):
        self.db.close()


class PickleDB:
    """With auto-dump: each change is in the file when the call returns."""

    def __init__(self, path):
        self.db = library.load(path, True)

    def put(self, key, value):
        self.db.set(key, value)

    def delete(self, key):
        if self.db.exists(key):
            self.db.rem(key)

    def items(self):
        return [[key, self.db.get(key)] for key in self.db.getall()]

    def close(self):
        pass


class Driver:
    name = KIND
    version = version(KIND)
    operations = ["put", "delete", "scan"]

    def open(self, request):
        path = os.path.join(request["dir"], "data.json")
        self.map = {"tinydb": TinyDB, "pickledb": PickleDB}[KIND](path)
        # Read it: what cannot be read is not open.
        self.map.items()

    def put(self, request):
        self.map.put(request["key"], request["value"])

    def delete(self, request):
        self.map.delete(request["key"])

    def scan(self, request):
        reply(request, items=self.map.items())

    def close(self, request):
        self.map.close()


serve(Driver(), OSError, ValueError, KeyError, TypeError, AttributeError, Failed)
