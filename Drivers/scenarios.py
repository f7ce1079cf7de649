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

from table import cells, scenario_path

PYTHON = ".build/engines/venv/bin/python3"
# Options of `tornlog test` in the table, and where they stand in a scenario.
PLACES = {"--budget": ("search", "budget"), "--requests": ("workload", "requests"),
          "--time-limit": ("workload", "time-limit")}


def scenario(name, engine, configuration):
    """A scenario as a mapping. Of JSON everything is YAML too."""
    durable = "as its documentation recommends" if configuration.get("durable") else "as configured"
    result = {
        "name": name,
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


chosen = cells(sys.argv[1:])
for name, engine, configuration in chosen:
    os.makedirs(os.path.dirname(scenario_path(name, engine)), exist_ok=True)
    with open(scenario_path(name, engine), "w") as file:
        for key, value in scenario(name, engine, configuration).items():
            file.write(f"{key}: {json.dumps(value, ensure_ascii=False)}\n")
print(f"{len(chosen)} scenarios in .build/engines/scenarios")
