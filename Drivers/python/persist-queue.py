#!/usr/bin/env python3
"""persist-queue. Model: queue.

Needs persist-queue (PyPI). `config`, with its default: {"kind": "Queue"}, a queue in plain files; "SQLiteQueue" is one
in SQLite. Whatever else stands there is an argument of the queue, for example {"autosave": true}.
"""

import sys

sys.path[0] += "/.."
from driving import reply, serve

import os
import sqlite3
from importlib.metadata import version
from pickle import UnpicklingError

import persistqueue


class Driver:
    name = "persist-queue"
    version = version("persist-queue")
    operations = ["append", "take"]

    def open(self, request):
        self.folder, self.config, self.queues = request["dir"], {"kind": "Queue"} | request["config"], {}
        for name in "ab":
            self.queue(name)

    def queue(self, name):
        if name not in self.queues:
            path, options = os.path.join(self.folder, name), dict(self.config)
            if (kind := options.pop("kind")) == "Queue":
                # Its temporary files must be on the same file system.
                os.makedirs(path, exist_ok=True)
                self.queues[name] = persistqueue.Queue(path, tempdir=path, **options)
            else:
                self.queues[name] = persistqueue.SQLiteQueue(path, **{"auto_commit": True} | options)
        return self.queues[name]

    def append(self, request):
        self.queue(request["log"]).put(request["value"])

    def take(self, request):
        queue = self.queue(request["log"])
        try:
            value = queue.get(block=False)
        except persistqueue.Empty:
            return {"value": None}
        queue.task_done()
        return {"value": value}

    def close(self, request):
        self.queues = {}  # They close their files when they are gone.


serve(Driver(), OSError, EOFError, UnpicklingError, ValueError, sqlite3.Error)
