#!/usr/bin/env bash
# Writes the generated parts of docs/*.md anew: what stands between the two marks of a page is what the program prints.
# Usage: Scripts/docs.sh .build/release/tornlog
set -euo pipefail
cd "$(dirname "$0")/.."
tornlog=$1
for page in cli defects scenarios; do
  part=$(mktemp)
  "$tornlog" reference "$page" >"$part"
  awk -v part="$part" '
    /^<!-- generated/ { print; while ((getline line < part) > 0) print line; skips = 1 }
    /^<!-- end of the generated part/ { skips = 0 }
    !skips && !/^<!-- generated/ { print }
  ' "docs/$page.md" >"$part.page"
  cat "$part.page" >"docs/$page.md"
  rm -f "$part" "$part.page"
done
