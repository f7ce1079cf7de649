// What leveldb.c and rocksdb.cc need of JSON: requests whose members are strings, numbers and words. Lists, as `txn`
// has them, need a real library.
#include <stdio.h>
#include <string.h>

// Copies the member `name` of the object `json`: a string without its escapes, or a number or a word as it stands
// there. Writes "" where there is none. Returns `to`.
static char *member(const char *json, const char *name, char *to, size_t size) {
    char quoted[32], *at = to, *end = to + size - 1;
    const char *from = json;
    snprintf(quoted, sizeof quoted, "\"%s\"", name);
    do { // until the string is followed by a colon: then it is a name, not a value
        from = strstr(from, quoted);
        if (from == NULL) {
            *to = 0;
            return to;
        }
        from += strlen(quoted);
        from += strspn(from, " ");
    } while (*from != ':');
    from++;
    from += strspn(from, " ");
    const char *ends = ",} \n";
    if (*from == '"') {
        ends = "\"";
        from++;
    }
    while (*from && !strchr(ends, *from) && at < end) {
        if (*from == '\\') from++;
        *at++ = *from++;
    }
    *at = 0;
    return to;
}

// Prints a text as a JSON string.
static void print_string(const char *text, size_t size) {
    putchar('"');
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"' || text[i] == '\\') putchar('\\');
        putchar(text[i]);
    }
    putchar('"');
}
