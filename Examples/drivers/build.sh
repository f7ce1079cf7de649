#!/bin/sh
# build.sh [NAME...]: builds the compiled drivers, or those named, into .build/drivers. What has no toolchain or library
# here is skipped, and counted.
cd "$(dirname "$0")" && out=../../.build/drivers && mkdir -p "$out" || exit 1
built=0 skipped=0 names=" $* "

# build NAME TOOL HEADER COMMAND...: HEADER is what the C preprocessor must find, or - where nothing is needed.
build() {
    name=$1 tool=$2 header=$3
    shift 3
    case "$names" in "  " | *" $name "*) ;; *) return ;; esac
    if ! command -v "$tool" >/dev/null; then
        echo "skipped $name: no $tool" && skipped=$((skipped + 1))
    elif [ "$header" != - ] && ! echo "#include <$header>" | "$tool" -E -x c++ - >/dev/null 2>&1; then
        echo "skipped $name: no $header" && skipped=$((skipped + 1))
    else
        "$@" || exit 1 # The toolchain is there: what does not compile is an error.
        echo "built $out/$name" && built=$((built + 1))
    fi
}

build leveldb-c     cc    leveldb/c.h  cc -O2 -Wall -Wextra -o "$out/leveldb-c" leveldb.c -lleveldb
build rocksdb       c++   rocksdb/db.h c++ -std=c++17 -O2 -Wall -Wextra -o "$out/rocksdb" rocksdb.cc -lrocksdb
build filelog-c     cc    -            cc -O2 -Wall -Wextra -o "$out/filelog-c" filelog.c
build filelog-rust  rustc -            rustc -O -o "$out/filelog-rust" filelog.rs
build filelog-swift swiftc -          swiftc -O -o "$out/filelog-swift" filelog.swift
build filelog-go    go    -            go build -o "$out/filelog-go" filelog/main.go filelog/log.go
build FileLog       javac -            javac -d "$out" FileLog.java

echo "$built drivers built, $skipped skipped"
