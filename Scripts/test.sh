#!/usr/bin/env bash
# Runs `swift test` with the arguments given. A failure stands somewhere in thousands of lines: it is shown again at the
# end, and what was skipped is counted there. Ends with the exit code of `swift test`.
set -uo pipefail

log=$(mktemp "${TMPDIR:-/tmp}/tornlog-tests-XXXXXX")
trap 'rm -f "$log"' EXIT
# The modules in which tests spend their time are optimised; see Package.swift.
export TORNLOG_OPTIMIZED_TESTS=1
swift test "$@" 2>&1 | tee "$log"
code=${PIPESTATUS[0]}
# The example is a package of its own, as a user has it: nothing but TornlogKit is built for it.
if [ "$#" -eq 0 ]; then
  (unset TORNLOG_OPTIMIZED_TESTS && swift test --package-path Examples/swift-log-under-test --scratch-path .build/example) \
    2>&1 | tee -a "$log"
  example=${PIPESTATUS[0]}
  [ "$code" -ne 0 ] || code=$example
fi

skips='^[^ ]+ Test .* (skipped|cancelled)\b'
echo "tests: $(grep -caE "$skips" "$log") skipped"
grep -aE "$skips" "$log" | head -n 40
if [ "$code" -ne 0 ]; then
  echo "tests: FAILED with exit code $code; what failed, once more:"
  grep -aE -A 2 '^✘ .* recorded an issue|^error: |Fatal error|unexpected signal' "$log" | grep -avE '^(◇|✔|--)' | head -n 80
fi
exit "$code"
