#!/usr/bin/env python3
"""Installs what the engines of engines.yaml need: Debian's packages, and those of PyPI into .build/engines/venv.

    python3 Drivers/setup.py [ENGINE ...]
"""

import os
import subprocess
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(FOLDER, "..", ".build", "engines", "venv")


def run(*command):
    print("+", *command, flush=True)
    subprocess.run(command, check=True, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})


def install(packages):
    """Installs those of Debian's packages that are missing."""
    query = ["dpkg-query", "-W", "-f", "${Package} ${Status}\n", *packages]
    known = subprocess.run(query, capture_output=True, text=True)
    there = {line.split()[0] for line in known.stdout.splitlines() if line.endswith(" installed")}
    if missing := [package for package in packages if package not in there]:
        if os.geteuid() != 0:
            sys.exit(f"apt-get install {' '.join(missing)}: as root")
        run("apt-get", "install", "-y", "--no-install-recommends", *missing)


def main(names):
    install(["python3-venv", "python3-yaml"])
    import yaml

    with open(os.path.join(FOLDER, "engines.yaml")) as file:
        engines = yaml.safe_load(file)["engines"]
    if unknown := set(names) - {engine["name"] for engine in engines}:
        sys.exit(f"no engine {', '.join(sorted(unknown))}; there are {', '.join(engine['name'] for engine in engines)}")
    needs = [engine["needs"] for engine in engines if not names or engine["name"] in names]
    install(sorted({package for need in needs for package in need.get("apt", [])}))
    if not os.path.exists(VENV):
        run("/usr/bin/python3", "-m", "venv", "--system-site-packages", VENV)
    packages = sorted({package for need in needs for package in need.get("pip", [])})
    if packages:
        run(f"{VENV}/bin/pip", "install", "--quiet", "--disable-pip-version-check", *packages)


main(sys.argv[1:])
