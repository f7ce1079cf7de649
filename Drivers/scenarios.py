#!/usr/bin/env python3
"""Writes engines.yaml as scenarios for `tornlog test`: a file for each configuration.

They go to .build/engines/scenarios/ENGINE.

    python3 Drivers/scenarios.py [ENGINE ...]
    tornlog test .build/engines/scenarios/lmdb

Needs Debian's python3-yaml.
"""

import json
import os
import sys

import yaml

FOLDER = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(FOLDER, "..", ".build", "engines", "scenarios")
PYTHON = ".build/engines/venv/bin/python3"
# Options of `tornlog test` in the table, and where they stand in a scenario.
PLACES = {"--budget": ("search", "budget"), "--requests": ("workload", "requests"),
          "--time-limit": ("workload", "time-limit")}


def scenario(engine, configuration):
    """A scenario as a mapping. Of JSON everything is YAML too."""
    durable = "as its documentation recommends" if configuration.get("durable") else "as configured"
    result = {
        "name": f"{engine['name']}-{configuration['name']}",
        "title": f"{engine['engine']}, {configuration['name']}: {durable}",
        "story": configuration["says"],
        "program": {
            "driver": [word.replace("{python}", PYTHON) for word in engine["driver"]],
            "model": engine["model"], "promises": configuration["promise"], "source": configuration["source"],
        },
    }
    if configuration["config"]:
        result["program"]["config"] = configuration["config"]
    if "allows" in configuration:
        result["program"]["allows"] = configuration["allows"]
    options = engine.get("test", ["--budget", "30s"])
    for option, value in zip(options[::2], options[1::2]):
        group, key = PLACES[option]
        result.setdefault(group, {})[key] = int(value) if value.isdigit() else value
    return result


with open(os.path.join(FOLDER, "engines.yaml")) as file:
    table = yaml.safe_load(file)["engines"]
names = sys.argv[1:] or [engine["name"] for engine in table]
if unknown := set(names) - {engine["name"] for engine in table}:
    sys.exit(f"no engine {', '.join(sorted(unknown))}; there are {', '.join(engine['name'] for engine in table)}")
count = 0
for engine in table:
    if engine["name"] in names:
        os.makedirs(os.path.join(OUT, engine["name"]), exist_ok=True)
        for configuration in engine["configurations"]:
            with open(os.path.join(OUT, engine["name"], configuration["name"] + ".yaml"), "w") as file:
                for key, value in scenario(engine, configuration).items():
                    file.write(f"{key}: {json.dumps(value, ensure_ascii=False)}\n")
            count += 1
print(f"{count} scenarios in {os.path.relpath(OUT)}")
