#!/usr/bin/env python3
"""queuelib, FifoDiskQueue. Model: queue.

Needs queuelib (PyPI). It has no configuration.
"""

import sys

sys.path[0] += "/.."
from driving import serve, text

import os
from importlib.metadata import version

from queuelib import FifoDiskQueue


class Driver:
    name = "queuelib"
    version = version("queuelib")
    operations = ["append", "take"]

    def open(self, request):
        self.queues = {name: FifoDiskQueue(os.path.join(request["dir"], name)) for name in "ab"}

    def append(self, request):
        self.queues[request["log"]].push(request["value"].encode())

    def take(self, request):
        value = self.queues[request["log"]].pop()
        return {"value": None if value is None else text(value)}

    def close(self, request):
        for queue in self.queues.values():
            queue.close()


serve(Driver(), OSError, ValueError)
