// The program under test: the log of file-log.py, one file of lines, CHECKSUM POSITION NAME VALUE.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    int file;
    size_t count;
    char **records; // POSITION NAME VALUE
    int broken;     // After a failed write or sync nobody knows what is on the disk: the log does nothing more.
} Log;

static unsigned crc32(const char *text) {
    unsigned crc = ~0u;
    for (; *text; text++) {
        crc ^= (unsigned char)*text;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xEDB88320u & -(crc & 1));
    }
    return ~crc;
}

static void log_keep(Log *log, char *record) {
    log->records = realloc(log->records, (log->count + 1) * sizeof *log->records);
    log->records[log->count++] = record;
}

static void log_close(Log *log) {
    while (log->count > 0) free(log->records[--log->count]);
    free(log->records);
    close(log->file);
}

// Whether a line of the file is the log's next record. The position is part of what is checked: an old line that comes
// back is no record.
static int log_has_next(const Log *log, const char *line, size_t length) {
    char checksum[10], position[24];
    if (length < 9 || strlen(line) < length) return 0;
    snprintf(checksum, sizeof checksum, "%08x ", crc32(line + 9));
    int digits = snprintf(position, sizeof position, "%zu ", log->count);
    return !strncmp(line, checksum, 9) && !strncmp(line + 9, position, digits);
}

// Reads the whole lines of the log in a folder, and cuts a torn one. Returns 0, or -1 and errno. Close it in any case.
static int log_open(Log *log, const char *folder) {
    char path[4096], *newline;
    struct stat status;
    snprintf(path, sizeof path, "%s/log", folder);
    *log = (Log){.file = open(path, O_RDWR | O_CREAT | O_APPEND, 0644)};
    if (log->file < 0 || fstat(log->file, &status)) return -1;
    char *data = malloc(status.st_size + 1), *line = data, *end = data + status.st_size;
    errno = EIO; // of fewer bytes than there are
    if (pread(log->file, data, status.st_size, 0) != status.st_size) return free(data), -1;
    for (; (newline = memchr(line, '\n', end - line)); line = newline + 1) {
        *newline = 0;
        if (!log_has_next(log, line, newline - line)) break;
        log_keep(log, strdup(line + 9));
    }
    off_t whole = line - data;
    free(data);
    if (whole < status.st_size && ftruncate(log->file, whole)) return -1; // A torn line was never acknowledged.
    if (fsync(log->file)) return -1; // What was read must not be lost later, nor the cut come back.
    int parent = open(folder, O_RDONLY | O_DIRECTORY), failed = fsync(parent);
    return close(parent), failed; // The name of a new file is durable only when its folder is.
}

// Returns the position of the record, which is durable then; or -1 and errno.
static long log_append(Log *log, const char *name, const char *value) {
    char *record = NULL, *line = NULL;
    int length = asprintf(&record, "%zu %s %s", log->count, name, value);
    if (length >= 0) length = asprintf(&line, "%08x %s\n", crc32(record), record);
    errno = EIO; // of a short write, and of a log that is broken
    log->broken = log->broken || length < 0 || write(log->file, line, length) != length || fsync(log->file);
    free(line);
    if (log->broken) return free(record), -1;
    return log_keep(log, record), log->count - 1;
}
