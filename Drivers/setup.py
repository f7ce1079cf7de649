#!/usr/bin/env python3
"""Installs what the engines of engines.yaml need: Debian's packages, and those of PyPI into .build/engines/venv.

    python3 Drivers/setup.py [ENGINE ...]

A package that cannot be installed is named, and the others are installed. Its engine's cells are `unknown` then.
"""

import os
import subprocess
import sys

from table import OUT, PYTHON, ROOT, engines

VENV = os.path.join(OUT, "venv")


def run(*command):
    print("+", *command, flush=True)
    return subprocess.run(command, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}).returncode == 0


def install(packages, *command):
    """Installs all together, or, where that fails, one after the other."""
    if not packages or run(*command, *packages) or len(packages) == 1:
        return
    for package in packages:
        if not run(*command, package):
            print(f"{package} cannot be installed: its engine is left out", flush=True)


def install_debian(packages):
    query = ["dpkg-query", "-W", "-f", "${Package} ${Status}\n", *packages]
    known = subprocess.run(query, capture_output=True, text=True)
    there = {line.split()[0] for line in known.stdout.splitlines() if line.endswith(" installed")}
    missing = [package for package in packages if package not in there]
    if missing and os.geteuid() != 0:
        print(f"as root: apt-get install {' '.join(missing)}. Their engines are left out", flush=True)
    else:
        install(missing, "apt-get", "install", "-y", "-q", "--no-install-recommends")


def main(names):
    install_debian(["python3-venv", "python3-yaml"])
    chosen = engines(names)
    needs = [engine["needs"] for engine in chosen]
    install_debian(sorted({package for need in needs for package in need.get("apt", [])}))
    if not os.path.exists(PYTHON) and not run("/usr/bin/python3", "-m", "venv", "--system-site-packages", VENV):
        sys.exit("Debian's python3-venv makes no environment: see above")
    install(sorted({package for need in needs for package in need.get("pip", [])}),
            PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    for engine in chosen:
        if packages := engine["needs"].get("apart"):
            # A version that another engine's would replace, so in a folder of its own.
            folder = os.path.join(OUT, "apart", engine["name"])
            if not os.path.isdir(folder):
                install(packages, PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target",
                        folder)
    if any(engine["name"] == "rocksdb" for engine in chosen):
        run(os.path.join(ROOT, "Examples", "drivers", "build.sh"))


main(sys.argv[1:])
