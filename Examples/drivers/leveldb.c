// LevelDB in C behind the driver protocol, version 1 (docs/driver-protocol.md). Model: map. It forks for each `open`:
// a state that makes LevelDB crash ends the child alone. `config`, with its default: {"sync": true}.
// Build: cc -O2 leveldb.c -lleveldb
#include "flat-json.h"
#include <leveldb/c.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char *line, id[32], op[16], folder[4096], sync_each[8], key[4096], value[1 << 20];
static size_t room;

static int next_request(void) {
    if (getline(&line, &room, stdin) <= 0) return 0;
    member(line, "id", id, sizeof id);
    member(line, "op", op, sizeof op);
    return 1;
}

static void reply(const char *outcome, const char *error) {
    printf("{\"id\":%s,\"ok\":%s", id, error ? "false" : "true");
    if (error) printf(",\"outcome\":\"%s\",\"error\":", outcome), print_string(error, strlen(error));
    printf("}\n");
    fflush(stdout);
}

static void scan(leveldb_t *db, char **error) {
    leveldb_iterator_t *at = leveldb_create_iterator(db, leveldb_readoptions_create());
    for (leveldb_iter_seek_to_first(at); leveldb_iter_valid(at); leveldb_iter_next(at)) {
        size_t keys, values;
        const char *k = leveldb_iter_key(at, &keys), *v = leveldb_iter_value(at, &values);
        printf("{\"id\":%s,\"items\":[[", id), print_string(k, keys), printf(",");
        print_string(v, values), printf("]]}\n");
    }
    leveldb_iter_get_error(at, error);
    leveldb_iter_destroy(at);
}

// The child: opens the folder, and carries out all requests up to `close`.
static void serve(void) {
    char *error = NULL;
    leveldb_options_t *options = leveldb_options_create();
    leveldb_writeoptions_t *write = leveldb_writeoptions_create();
    leveldb_options_set_create_if_missing(options, 1);
    leveldb_writeoptions_set_sync(write, strcmp(member(line, "sync", sync_each, sizeof sync_each), "false") != 0);
    leveldb_t *db = leveldb_open(options, member(line, "dir", folder, sizeof folder), &error);
    reply("unknown", error);
    while (db && strcmp(op, "close") && next_request()) {
        const char *outcome = "unknown"; // the program's failure
        size_t keys = strlen(member(line, "key", key, sizeof key));
        size_t values = strlen(member(line, "value", value, sizeof value));
        error = NULL;
        if (!strcmp(op, "put")) leveldb_put(db, write, key, keys, value, values, &error);
        else if (!strcmp(op, "delete")) leveldb_delete(db, write, key, keys, &error);
        else if (!strcmp(op, "scan")) scan(db, &error);
        else if (!strcmp(op, "close")) leveldb_close(db);
        else outcome = "driver", error = "no such operation"; // the driver's: it says nothing about the program
        reply(outcome, error);
    }
    exit(0);
}

int main(void) {
    for (int status = 0; next_request(); fflush(stdout)) {
        if (!strcmp(op, "open")) {
            if (fork() == 0) serve();
            wait(&status); // Meanwhile the child reads the requests.
            if (WIFSIGNALED(status)) printf("{\"died\":\"signal %d\"}\n", WTERMSIG(status));
            else if (status) printf("{\"died\":\"exit %d\"}\n", WEXITSTATUS(status));
        } else if (!strcmp(op, "hello")) {
            printf("{\"id\":%s,\"ok\":true,\"name\":\"leveldb\",\"version\":\"%d.%d\",\"ops\":[\"put\",\"delete\","
                   "\"scan\"],\"forks\":true}\n", id, leveldb_major_version(), leveldb_minor_version());
        } else { // After an `open` that failed no child is left to answer `close`.
            reply("driver", strcmp(op, "close") ? "not open" : NULL);
        }
    }
}
