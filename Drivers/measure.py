#!/usr/bin/env python3
"""Writes to an engine at a steady rate, and then as fast as it can. `tornlog audit` watches its files meanwhile.

    tornlog audit --ack-pattern '^acknowledged' --folder EMPTY -- python3 Drivers/measure.py ENGINE CONFIGURATION

Each line `acknowledged` follows a reply of the engine in the steady part. Then nothing is written for a while, for an
engine that syncs later. The last line says how many requests a second it took from one caller that never pauses.
"""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from caller import Caller, Refused
from table import cells, command

RATE, STEADY, PAUSE, FULL = 200, 4.0, 2.5, 2.0
VALUE = "x" * 200


def requests(model):
    number = 0
    while True:
        number += 1
        value = f"v{number}:{VALUE}"
        if model in ("log", "queue"):
            yield "append", {"log": "a", "value": value}
        else:
            yield "put", {"key": f"k{number % 100}", "value": value}


def main(engine_name, configuration_name):
    [(_, engine, configuration)] = [
        cell for cell in cells([engine_name]) if cell[2]["name"] == configuration_name]
    caller = Caller(command(engine["driver"]), 120)
    try:
        operations = caller.call("hello", version=1)["ops"]
        caller.call("open", dir=os.getcwd(), create=True, config=configuration["config"])
        stream = requests(engine["model"])
        if engine["model"] == "transactions" and "put" not in operations:
            stream = (("txn", {"do": [{"op": "put", **members}]}) for _, members in stream)
        for _ in range(20):  # The first requests make files.
            operation, members = next(stream)
            caller.call(operation, **members)
        begin, sent = time.monotonic(), 0
        while (now := time.monotonic() - begin) < STEADY:
            if sent / RATE > now:
                time.sleep(sent / RATE - now)
            operation, members = next(stream)
            caller.call(operation, **members)
            print("acknowledged", flush=True)
            sent += 1
        print(f"rate {sent / (time.monotonic() - begin):.1f}", flush=True)
        time.sleep(PAUSE)
        begin, sent = time.monotonic(), 0
        while time.monotonic() - begin < FULL:
            operation, members = next(stream)
            caller.call(operation, **members)
            sent += 1
        print(f"throughput {sent / (time.monotonic() - begin):.1f}", flush=True)
        caller.call("close")
    except Refused as error:
        sys.exit(f"{engine_name}: {error}")
    finally:
        caller.end()


main(*sys.argv[1:])
