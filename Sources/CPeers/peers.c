#include "peers.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char failure[256];
const char *tl_peer_failure(void) { return failure; }

static int64_t fail(const char *what, const char *how) {
  snprintf(failure, sizeof failure, "%s: %s", what, how ? how : "no reason given");
  return TL_PEER_FAILED;
}

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// SQLite: https://www.sqlite.org/c3ref/intro.html

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;

static struct {
  void *library;
  int (*open)(const char *, sqlite3 **);
  int (*close)(sqlite3 *);
  int (*exec)(sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *, char **);
  int (*prepare)(sqlite3 *, const char *, int, sqlite3_stmt **, const char **);
  int (*bind_blob)(sqlite3_stmt *, int, const void *, int, void (*)(void *));
  int (*step)(sqlite3_stmt *);
  int (*reset)(sqlite3_stmt *);
  int (*finalize)(sqlite3_stmt *);
  const char *(*errmsg)(sqlite3 *);
  const char *(*libversion)(void);
} lite;

#define SQLITE_OK 0
#define SQLITE_DONE 101

static int load_sqlite(void) {
  if (lite.library) return 1;
  void *library = dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!library) return 0;
  *(void **)&lite.open = dlsym(library, "sqlite3_open");
  *(void **)&lite.close = dlsym(library, "sqlite3_close");
  *(void **)&lite.exec = dlsym(library, "sqlite3_exec");
  *(void **)&lite.prepare = dlsym(library, "sqlite3_prepare_v2");
  *(void **)&lite.bind_blob = dlsym(library, "sqlite3_bind_blob");
  *(void **)&lite.step = dlsym(library, "sqlite3_step");
  *(void **)&lite.reset = dlsym(library, "sqlite3_reset");
  *(void **)&lite.finalize = dlsym(library, "sqlite3_finalize");
  *(void **)&lite.errmsg = dlsym(library, "sqlite3_errmsg");
  *(void **)&lite.libversion = dlsym(library, "sqlite3_libversion");
  if (!lite.open || !lite.close || !lite.exec || !lite.prepare || !lite.bind_blob || !lite.step || !lite.reset ||
      !lite.finalize || !lite.errmsg || !lite.libversion)
    return 0;
  lite.library = library;
  return 1;
}

static int64_t insert(sqlite3 *db, const void *data, size_t record, uint64_t count) {
  sqlite3_stmt *statement = NULL;
  if (lite.prepare(db, "INSERT INTO log(value) VALUES(?)", -1, &statement, NULL) != SQLITE_OK)
    return fail("sqlite3_prepare_v2", lite.errmsg(db));
  int64_t start = now(), result = 0;
  for (uint64_t i = 0; i < count && result == 0; i++) {
    // Outside of a transaction each statement is one.
    if (lite.bind_blob(statement, 1, data, (int)record, NULL) != SQLITE_OK || lite.step(statement) != SQLITE_DONE)
      result = fail("INSERT", lite.errmsg(db));
    lite.reset(statement);
  }
  if (result == 0) result = now() - start;
  lite.finalize(statement);
  return result;
}

int64_t tl_peer_sqlite(const char *path, int full, size_t record, uint64_t count) {
  if (!load_sqlite()) return TL_PEER_ABSENT;
  sqlite3 *db = NULL;
  void *data = malloc(record);
  if (!data) return fail("malloc", "no memory");
  memset(data, 0x5a, record);
  int64_t result = 0;
  char *message = NULL;
  if (lite.open(path, &db) != SQLITE_OK) result = fail("sqlite3_open", db ? lite.errmsg(db) : NULL);
  const char *setup = full ? "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE log(id INTEGER PRIMARY KEY, "
                             "value BLOB)"
                           : "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; CREATE TABLE log(id INTEGER PRIMARY "
                             "KEY, value BLOB)";
  if (result == 0 && lite.exec(db, setup, NULL, NULL, &message) != SQLITE_OK) result = fail("setup", message);
  if (result == 0) result = insert(db, data, record, count);
  if (db) lite.close(db);
  free(data);
  return result;
}

// LMDB: http://www.lmdb.tech/doc/

typedef struct MDB_env MDB_env;
typedef struct MDB_txn MDB_txn;
typedef unsigned int MDB_dbi;
typedef struct {
  size_t mv_size;
  void *mv_data;
} MDB_val;

static struct {
  void *library;
  int (*env_create)(MDB_env **);
  int (*env_set_mapsize)(MDB_env *, size_t);
  int (*env_open)(MDB_env *, const char *, unsigned int, unsigned int);
  void (*env_close)(MDB_env *);
  int (*txn_begin)(MDB_env *, MDB_txn *, unsigned int, MDB_txn **);
  int (*txn_commit)(MDB_txn *);
  void (*txn_abort)(MDB_txn *);
  int (*dbi_open)(MDB_txn *, const char *, unsigned int, MDB_dbi *);
  int (*put)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *, unsigned int);
  char *(*strerror)(int);
  char *(*version)(int *, int *, int *);
} lmdb;

#define MDB_APPEND 0x20000

static int load_lmdb(void) {
  if (lmdb.library) return 1;
  void *library = dlopen("liblmdb.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!library) return 0;
  *(void **)&lmdb.env_create = dlsym(library, "mdb_env_create");
  *(void **)&lmdb.env_set_mapsize = dlsym(library, "mdb_env_set_mapsize");
  *(void **)&lmdb.env_open = dlsym(library, "mdb_env_open");
  *(void **)&lmdb.env_close = dlsym(library, "mdb_env_close");
  *(void **)&lmdb.txn_begin = dlsym(library, "mdb_txn_begin");
  *(void **)&lmdb.txn_commit = dlsym(library, "mdb_txn_commit");
  *(void **)&lmdb.txn_abort = dlsym(library, "mdb_txn_abort");
  *(void **)&lmdb.dbi_open = dlsym(library, "mdb_dbi_open");
  *(void **)&lmdb.put = dlsym(library, "mdb_put");
  *(void **)&lmdb.strerror = dlsym(library, "mdb_strerror");
  *(void **)&lmdb.version = dlsym(library, "mdb_version");
  if (!lmdb.env_create || !lmdb.env_set_mapsize || !lmdb.env_open || !lmdb.env_close || !lmdb.txn_begin ||
      !lmdb.txn_commit || !lmdb.txn_abort || !lmdb.dbi_open || !lmdb.put || !lmdb.strerror || !lmdb.version)
    return 0;
  lmdb.library = library;
  return 1;
}

static int append(MDB_env *env, void *data, size_t record, uint64_t count) {
  MDB_dbi dbi = 0;
  for (uint64_t i = 0; i < count; i++) {
    MDB_txn *txn = NULL;
    int result = lmdb.txn_begin(env, NULL, 0, &txn);
    if (result != 0) return result;
    if (i == 0 && (result = lmdb.dbi_open(txn, NULL, 0, &dbi)) != 0) {
      lmdb.txn_abort(txn);
      return result;
    }
    // Big-endian, so that keys ascend.
    unsigned char name[8];
    for (int byte = 0; byte < 8; byte++) name[byte] = (unsigned char)(i >> (56 - 8 * byte));
    MDB_val key = {sizeof name, name}, value = {record, data};
    if ((result = lmdb.put(txn, dbi, &key, &value, MDB_APPEND)) != 0) {
      lmdb.txn_abort(txn);
      return result;
    }
    if ((result = lmdb.txn_commit(txn)) != 0) return result;
  }
  return 0;
}

int64_t tl_peer_lmdb(const char *directory, size_t record, uint64_t count) {
  if (!load_lmdb()) return TL_PEER_ABSENT;
  MDB_env *env = NULL;
  void *data = malloc(record);
  if (!data) return fail("malloc", "no memory");
  memset(data, 0x5a, record);
  int result = lmdb.env_create(&env);
  if (result == 0) result = lmdb.env_set_mapsize(env, (size_t)4 << 30);
  if (result == 0) result = lmdb.env_open(env, directory, 0, 0600);
  int64_t start = now();
  if (result == 0) result = append(env, data, record, count);
  int64_t elapsed = now() - start;
  if (env) lmdb.env_close(env);
  free(data);
  return result == 0 ? elapsed : fail("lmdb", lmdb.strerror(result));
}

const char *tl_peer_version(const char *library) {
  if (strcmp(library, "sqlite") == 0) return load_sqlite() ? lite.libversion() : NULL;
  static char text[32];
  int major = 0, minor = 0, patch = 0;
  if (strcmp(library, "lmdb") != 0 || !load_lmdb()) return NULL;
  lmdb.version(&major, &minor, &patch);
  snprintf(text, sizeof text, "%d.%d.%d", major, minor, patch);
  return text;
}
