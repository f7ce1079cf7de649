#!/usr/bin/env python3
"""Opens files that `tornlog reproduce TOKEN --export FOLDER` has written, in the bare engine: no Tornlog runs.

    python3 Drivers/bare.py ENGINE CONFIGURATION FOLDER 'no-acknowledged-loss: key k7 is gone; ...'

It works on a copy of the folder. The last argument is what Tornlog says of the state: a check, a colon, and the detail.
It prints what the engine says as JSON. `agrees` is true where the engine shows the same by itself, false where it does
not, null where the words name nothing that can be looked for.
"""

import json
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from caller import Caller, Refused
from table import cells, command


def read(caller, model, operations, result):
    """What it serves: of a map the items, of logs and queues all values."""
    if model not in ("log", "queue"):
        result["map"] = {key: value for key, value in caller.call("scan")["items"]}
        return
    result["logs"] = {}
    for log in "ab":
        if "scan" in operations:
            result["logs"][log] = [value for _, value in caller.call("scan", log=log)["items"]]
            continue
        values = result["logs"][log] = []
        while (value := caller.call("take", log=log).get("value")) is not None:
            values.append(value)


def look(engine, configuration, folder, limit=60):
    """What the engine serves of a copy of `folder`."""
    result = {}
    with tempfile.TemporaryDirectory(prefix="tornlog-bare-") as place:
        copy = os.path.join(place, "data")
        # With owners and modes: a server does not take files of others. cp does both.
        if os.spawnlp(os.P_WAIT, "cp", "cp", "-a", folder, copy) != 0:
            sys.exit(f"{folder} cannot be copied to {copy}")
        os.chmod(place, 0o755)
        caller = Caller(command(engine["driver"]), limit)
        try:
            hello = caller.call("hello", version=1)
            result["engine"] = f"{hello['name']} {hello['version']}"
            step = "open"
            try:
                caller.call("open", dir=copy, create=False, config=configuration["config"])
                step = "scan"
                read(caller, engine["model"], hello["ops"], result)
            except Refused as error:
                result[step] = str(error)
            if "check" in hello["ops"] and "open" not in result:
                try:
                    caller.call("check")
                    result["check"] = "ok"
                except Refused as error:
                    result["check"] = str(error)
        finally:
            caller.end()
    return result


def named(value, name):
    """Whether a value is the one that Tornlog calls so: by the part before its colon, or by its first characters."""
    if value is None or name is None:
        return value is None and name in (None, "nothing")
    if name == "nothing":
        return False
    quoted = re.fullmatch(r"'(.*?)(…?)'", name, re.S)
    if quoted:
        return value.startswith(quoted[1]) if quoted[2] else value == quoted[1]
    return value.split(":")[0] == name


VALUE = r"('.*?'|[^\s,;]+)"


def agrees(check, detail, result):
    """Whether the engine alone shows what Tornlog says; None where the words name nothing to look for."""
    if check in ("opens", "opens-in-time") and ("open" in detail or "within" in detail):
        return "open" in result or "scan" in result
    if "open" in result:
        return False
    if check == "own-check-agrees":
        return result.get("check", "ok") != "ok" if "check" in result else None
    if check == "reads":
        return "scan" in result
    if "scan" in result:
        return False
    logs, items = result.get("logs", {}), result.get("map", {})
    if match := re.match(rf"{VALUE} of (?:log|queue) (\w+) was acknowledged and is gone", detail):
        return not any(named(value, match[1]) for value in logs.get(match[2], []))
    if match := re.match(rf"(?:log|queue) (\w+) has lost {VALUE}, and holds", detail):
        return not any(named(value, match[2]) for value in logs.get(match[1], []))
    if match := re.match(rf"(?:log|queue) (\w+) holds {VALUE} more than once", detail):
        return sum(named(value, match[2]) for value in logs.get(match[1], [])) > 1
    if match := re.match(r"(?:log|queue) (\w+) holds (?:a )?damaged .*?, (\d+) bytes", detail):
        return any(len(value.encode()) == int(match[2]) for value in logs.get(match[1], []))
    if match := re.match(rf"(?:log|queue) (\w+) holds {VALUE}", detail):
        return any(named(value, match[2]) for value in logs.get(match[1], []))
    if match := re.match(r"key (\S+) is gone;", detail):
        return match[1] not in items
    if match := re.match(r"key (\S*) holds (?:a )?damaged .*?, (\d+) bytes", detail):
        return match[1] in items and len(items[match[1]].encode()) == int(match[2])
    if match := re.match(rf"key (\S*) holds {VALUE}", detail):
        return match[1] in items and named(items[match[1]], match[2])
    if match := re.match(rf"of one transaction (\S+) = {VALUE} is there, (\S+) = {VALUE} is not", detail):
        return named(items.get(match[1]), match[2]) and not named(items.get(match[3]), match[4])
    return None


def words(result):
    """In one sentence: what the engine says."""
    if "open" in result:
        return f"does not open: {result['open']}"
    if "scan" in result:
        return f"opens, and does not read: {result['scan']}"
    served = (f"{len(result['map'])} keys" if "map" in result
              else ", ".join(f"{len(values)} in {log}" for log, values in result["logs"].items()))
    own = f"; its own check says: {result['check']}" if "check" in result else ""
    return f"serves {served}{own}"


def main(engine_name, configuration_name, folder, said):
    [(_, engine, configuration)] = [
        cell for cell in cells([engine_name]) if cell[2]["name"] == configuration_name]
    check, detail = said.split(": ", 1)
    result = look(engine, configuration, folder)
    print(json.dumps({"engine": result["engine"], "says": words(result)[:400], "check": result.get("check"),
                      "agrees": agrees(check, detail, result)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
