#!/usr/bin/env bash
# Builds the readers of log files with libFuzzer and runs it on the corpus in Tests/fuzz-corpus/wal. What it finds is in
# .build/fuzz/findings. Arguments go to libFuzzer: -runs=100000, -max_total_time=60, a file to run again.
set -euo pipefail
cd "$(dirname "$0")/.."
export TORNLOG_FUZZ=1
scratch=.build/fuzz
swift build -c release --product WalFuzz --scratch-path "$scratch" --sanitize fuzzer
mkdir -p "$scratch/corpus" "$scratch/findings"
swiftc -sanitize=fuzzer -static-stdlib -o "$scratch/fuzz-wal" "$scratch"/release/libWalFuzz.a \
  -luring -lz -ldeflate -lzstd
runs=(-runs=10000000)
[ "$#" -eq 0 ] || runs=()
exec "$scratch/fuzz-wal" -artifact_prefix="$scratch/findings/" -max_len=8192 -timeout=20 -rss_limit_mb=1024 \
  -print_final_stats=1 "${runs[@]}" "$@" "$scratch/corpus" Tests/fuzz-corpus/wal
