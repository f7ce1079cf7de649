#!/usr/bin/env python3
"""RocksDB of a newer release, as the package rocksdict has it. Model: transactions.

Needs rocksdict (PyPI). `config`, with its default: {"sync": true}. Whatever else stands there is an option of RocksDB,
for example {"recycle_log_file_num": 4, "wal_bytes_per_sync": 4096}: `Options.set_NAME` gets it.
Examples/drivers/rocksdb.cc is the driver of Debian's RocksDB.
"""

import sys

sys.path[0] += "/.."
from driving import reply, serve, text

from importlib.metadata import version

from rocksdict import Options, Rdict, WriteBatch, WriteOptions


class Driver:
    name = "rocksdict"
    version = version("rocksdict")
    operations = ["put", "delete", "scan", "txn", "flush"]

    def open(self, request):
        config = {"sync": True} | request["config"]
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        self.write_options = WriteOptions()
        self.write_options.sync = config.pop("sync")
        for name, value in config.items():
            getattr(options, f"set_{name}")(value)
        self.db = Rdict(request["dir"], options)

    def txn(self, request):
        batch = WriteBatch(raw_mode=True)
        for step in request["do"]:
            if step["op"] == "put":
                batch.put(step["key"].encode(), step["value"].encode())
            else:
                batch.delete(step["key"].encode())
        self.db.write(batch, self.write_options)

    def put(self, request):
        self.txn({"do": [request]})

    delete = put

    def scan(self, request):
        reply(request, items=[[text(key), text(value)] for key, value in self.db.items()])

    def flush(self, request):
        self.db.flush_wal(True)

    def close(self, request):
        self.db.close()


# rocksdict reports RocksDB's errors as plain exceptions.
serve(Driver(), Exception)
