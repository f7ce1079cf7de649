"""The table of engines, for the commands of this folder."""

import os
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(FOLDER)
# All that the commands write: scenarios, results, exported states.
OUT = os.path.join(ROOT, ".build", "engines")
PYTHON = os.path.join(OUT, "venv", "bin", "python3")


def engines(names=()):
    """The entries of engines.yaml with these names, in the order of the table; without a name all of them."""
    import yaml  # setup.py installs it first

    with open(os.path.join(FOLDER, "engines.yaml")) as file:
        table = yaml.safe_load(file)["engines"]
    known = [engine["name"] for engine in table]
    if unknown := set(names) - set(known):
        sys.exit(f"no engine {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [engine for engine in table if not names or engine["name"] in names]


def cells(names=()):
    """Each configuration with its engine. The name of a cell is ENGINE-CONFIGURATION."""
    return [(f"{engine['name']}-{configuration['name']}", engine, configuration)
            for engine in engines(names) for configuration in engine["configurations"]]


def command(words):
    """A command of the table with absolute paths, for a process that works in another folder."""
    words = [word.replace("{python}", PYTHON).replace("=.build", "=" + os.path.join(ROOT, ".build")) for word in words]
    return [os.path.join(ROOT, word) if os.path.exists(os.path.join(ROOT, word)) else word for word in words]


def scenario_path(name, engine):
    """Where scenarios.py writes the scenario of a cell."""
    return os.path.join(OUT, "scenarios", engine["name"], name.removeprefix(engine["name"] + "-") + ".yaml")
