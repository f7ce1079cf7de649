#!/usr/bin/env python3
"""litequeue, a queue on SQLite. Model: queue.

Needs litequeue (PyPI). `config` is not used: litequeue itself sets `journal_mode` WAL and `synchronous` NORMAL.
"""

import sys

sys.path[0] += "/.."
from driving import reply, serve

import os
import sqlite3

import litequeue


class Driver:
    name = "litequeue"
    version = litequeue.__version__
    operations = ["append", "take", "scan"]

    def open(self, request):
        path = os.path.join(request["dir"], "queues.sqlite")
        self.queues = {name: litequeue.LiteQueue(path, queue_name=f"queue_{name}") for name in "ab"}

    def append(self, request):
        self.queues[request["log"]].put(request["value"])

    def take(self, request):
        queue = self.queues[request["log"]]
        message = queue.pop()
        if message:
            queue.done(message.message_id)
        return {"value": message and message.data}

    def scan(self, request):
        queue = self.queues[request["log"]]
        # What was popped and not confirmed is still in the queue: `retry` gives it back.
        messages = sorted([*queue.list_locked(0), *waiting(queue)], key=lambda message: message.message_id)
        reply(request, items=[[place, message.data] for place, message in enumerate(messages)])

    def close(self, request):
        for queue in self.queues.values():
            queue.close()


def waiting(queue):
    statement = f"SELECT * FROM {queue.table} WHERE status = {litequeue.MessageStatus.READY.value} ORDER BY message_id"
    return [litequeue.Message(**row) for row in queue.conn.execute(statement)]


serve(Driver(), sqlite3.Error)
