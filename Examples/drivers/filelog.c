// A driver in C for the log in filelog/log.h: driver protocol, version 1 (docs/driver-protocol.md). Model: log.
// Build: cc -O2 filelog.c. To test a log of your own, replace log.h, and the calls of it in `answer`.
#define _GNU_SOURCE
#include "filelog/log.h"
#include "flat-json.h"

static char *line, id[32], op[16], folder[4000], name[64], value[1 << 20];
static Log log_;
static int is_open;

// Ends a reply that has begun with `id`.
static void fail(const char *outcome, const char *error) {
    printf(",\"ok\":false,\"outcome\":\"%s\",\"error\":", outcome), print_string(error, strlen(error));
}

static void scan(void) {
    for (size_t i = 0; i < log_.count; i++) {
        char *rest, *record = log_.records[i]; // POSITION NAME VALUE
        long position = strtol(record, &rest, 10);
        size_t length = strlen(name);
        if (strncmp(rest + 1, name, length) || rest[1 + length] != ' ') continue;
        printf("{\"id\":%s,\"items\":[[%ld,", id, position);
        print_string(rest + length + 2, strlen(rest + length + 2)), printf("]]}\n");
    }
}

static void close_log(void) {
    if (is_open) log_close(&log_);
    is_open = 0;
}

static void answer(void) {
    long position = 0;
    if (!strcmp(op, "scan") && is_open) scan(); // The lines with items come before the reply.
    printf("{\"id\":%s", id);
    if (!strcmp(op, "hello")) {
        printf(",\"ok\":true,\"name\":\"filelog-c\",\"version\":\"1\",\"ops\":[\"append\",\"scan\"],\"reopens\":true");
    } else if (!strcmp(op, "open")) {
        close_log();
        is_open = !log_open(&log_, folder);
        if (is_open) printf(",\"ok\":true");
        else fail("unknown", strerror(errno)), log_close(&log_);
    } else if (!strcmp(op, "close")) {
        close_log();
        printf(",\"ok\":true");
    } else if (!is_open) {
        fail("driver", "the log is not open");
    } else if (!strcmp(op, "append")) {
        position = log_append(&log_, name, value);
        if (position < 0) fail("unknown", strerror(errno)); // The program's failure: it may have happened.
        else printf(",\"ok\":true,\"position\":%ld", position);
    } else if (!strcmp(op, "scan")) {
        printf(",\"ok\":true");
    } else {
        fail("driver", "no such operation"); // The driver's failure: it says nothing about the program.
    }
    printf("}\n");
    fflush(stdout);
}

int main(void) {
    for (size_t room = 0; getline(&line, &room, stdin) > 0;) {
        member(line, "id", id, sizeof id), member(line, "op", op, sizeof op);
        member(line, "dir", folder, sizeof folder);
        member(line, "log", name, sizeof name), member(line, "value", value, sizeof value);
        answer();
    }
}
