#!/usr/bin/env python3
"""SlateDB on a local object store. Model: transactions.

Needs slatedb (PyPI). `config` is not used: a write is acknowledged once its WAL object is written.
"""

import sys

sys.path[0] += "/.."
from driving import reply, serve, text

import asyncio
from importlib.metadata import version

from slatedb.uniffi import DbBuilder, Error, KeyRange, ObjectStore, WriteBatch


class Driver:
    name = "slatedb"
    version = version("slatedb")
    operations = ["put", "delete", "scan", "txn", "flush"]

    def open(self, request):
        self.loop = asyncio.new_event_loop()
        path = request["dir"].strip("/") + "/db"  # in the store, whose root is that of the machine
        self.db = self.wait(DbBuilder(path, ObjectStore.resolve("file:///")).build())

    def wait(self, what):
        return self.loop.run_until_complete(what)

    def txn(self, request):
        batch = WriteBatch()
        for step in request["do"]:
            if step["op"] == "put":
                batch.put(step["key"].encode(), step["value"].encode())
            else:
                batch.delete(step["key"].encode())
        self.wait(self.db.write(batch))

    def put(self, request):
        self.txn({"do": [request]})

    delete = put

    def scan(self, request):
        everything = KeyRange(start=None, start_inclusive=True, end=None, end_inclusive=True)
        iterator = self.wait(self.db.scan(everything))
        while item := self.wait(iterator.next()):
            reply(request, items=[[text(item.key), text(item.value)]])

    def flush(self, request):
        self.wait(self.db.flush())

    def close(self, request):
        self.wait(self.db.shutdown())
        self.loop.close()


serve(Driver(), Error)
