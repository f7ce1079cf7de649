// RocksDB in C++ behind the driver protocol, version 1 (docs/driver-protocol.md). Model: map.
// `config`, with its defaults: {"sync": true, "wal_recovery_mode": 2, "manual_wal_flush": false}; 2 is
// kPointInTimeRecovery, RocksDB's own default.
// Build: c++ -std=c++17 -O2 rocksdb.cc -lrocksdb
#include "flat-json.h"
#include <iostream>
#include <memory>
#include <rocksdb/db.h>
#include <rocksdb/version.h>

static std::string line, id;
static std::unique_ptr<rocksdb::DB> db;
static rocksdb::WriteOptions write_options;

static std::string get(const char *name) {
    std::string value(line.size() + 1, 0);
    return member(line.c_str(), name, value.data(), value.size());
}

static rocksdb::Status open() {
    rocksdb::Options options;
    options.create_if_missing = true;
    if (std::string mode = get("wal_recovery_mode"); !mode.empty())
        options.wal_recovery_mode = rocksdb::WALRecoveryMode(std::stoi(mode));
    options.manual_wal_flush = get("manual_wal_flush") == "true";
    write_options.sync = get("sync") != "false";
    rocksdb::DB *opened = nullptr;
    rocksdb::Status status = rocksdb::DB::Open(options, get("dir"), &opened);
    db.reset(opened);
    return status;
}

static rocksdb::Status scan() {
    std::unique_ptr<rocksdb::Iterator> at(db->NewIterator(rocksdb::ReadOptions()));
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
        printf("{\"id\":%s,\"items\":[[", id.c_str());
        print_string(at->key().data(), at->key().size());
        printf(",");
        print_string(at->value().data(), at->value().size());
        printf("]]}\n");
    }
    return at->status();
}

static rocksdb::Status close() {
    rocksdb::Status status = db ? db->Close() : rocksdb::Status::OK();
    db.reset();
    return status;
}

// Carries out a request. What it returns that is not OK is the program's failure, or NotSupported: the driver's.
static rocksdb::Status answer(const std::string &op) {
    if (op == "open") return open();
    if (op == "close") return close();
    if (!db) return rocksdb::Status::NotSupported("not open");
    if (op == "put") return db->Put(write_options, get("key"), get("value"));
    if (op == "delete") return db->Delete(write_options, get("key"));
    if (op == "scan") return scan();
    if (op == "flush") return db->FlushWAL(true);  // Writes what is in memory, and syncs.
    if (op == "check") return db->VerifyChecksum();  // Each block of each table, as `ldb` and `sst_dump` read them.
    return rocksdb::Status::NotSupported("no such operation");
}

int main() {
    while (std::getline(std::cin, line)) {
        id = get("id");
        rocksdb::Status status = get("op") == "hello" ? rocksdb::Status::OK() : answer(get("op"));
        if (get("op") == "hello") {
            printf("{\"id\":%s,\"ok\":true,\"name\":\"rocksdb\",\"version\":\"%d.%d.%d\",\"reopens\":true,"
                   "\"ops\":[\"put\",\"delete\",\"scan\",\"flush\",\"check\"]}\n",
                   id.c_str(), ROCKSDB_MAJOR, ROCKSDB_MINOR, ROCKSDB_PATCH);
        } else if (status.ok()) {
            printf("{\"id\":%s,\"ok\":true}\n", id.c_str());
        } else {
            const char *outcome = status.IsNotSupported() ? "driver" : "unknown";
            printf("{\"id\":%s,\"ok\":false,\"outcome\":\"%s\",\"error\":", id.c_str(), outcome);
            print_string(status.ToString().data(), status.ToString().size());
            printf("}\n");
        }
        fflush(stdout);
    }
    db.reset(); // before RocksDB's own statics go
}
