#include "ccurl.h"

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static struct {
  pthread_once_t once;
  char error[256];
  __typeof__(&curl_global_init) global_init;
  __typeof__(&curl_easy_init) easy_init;
  __typeof__(&curl_easy_cleanup) easy_cleanup;
  __typeof__(&curl_easy_setopt) setopt;
  __typeof__(&curl_easy_perform) perform;
  __typeof__(&curl_easy_getinfo) getinfo;
  __typeof__(&curl_easy_strerror) text;
  __typeof__(&curl_slist_append) append;
  __typeof__(&curl_slist_free_all) free_all;
} curl = {.once = PTHREAD_ONCE_INIT};

static void *symbol(void *library, const char *name) {
  void *found = dlsym(library, name);
  if (!found && !curl.error[0]) snprintf(curl.error, sizeof curl.error, "libcurl.so.4 has no %s", name);
  return found;
}

static void load(void) {
  void *library = dlopen("libcurl.so.4", RTLD_LAZY | RTLD_LOCAL);
  if (!library) {
    snprintf(curl.error, sizeof curl.error, "HTTP needs libcurl, Debian's package libcurl4: %s", dlerror());
    return;
  }
  curl.global_init = symbol(library, "curl_global_init");
  curl.easy_init = symbol(library, "curl_easy_init");
  curl.easy_cleanup = symbol(library, "curl_easy_cleanup");
  curl.setopt = symbol(library, "curl_easy_setopt");
  curl.perform = symbol(library, "curl_easy_perform");
  curl.getinfo = symbol(library, "curl_easy_getinfo");
  curl.text = symbol(library, "curl_easy_strerror");
  curl.append = symbol(library, "curl_slist_append");
  curl.free_all = symbol(library, "curl_slist_free_all");
  if (curl.error[0]) return;
  CURLcode code = curl.global_init(CURL_GLOBAL_DEFAULT);
  if (code != CURLE_OK) snprintf(curl.error, sizeof curl.error, "libcurl does not start: %s", curl.text(code));
}

struct tl_http {
  CURL *easy;
  struct curl_slist *headers;
};

tl_http *tl_http_begin(char *error, size_t length) {
  pthread_once(&curl.once, load);
  if (curl.error[0]) {
    snprintf(error, length, "%s", curl.error);
    return NULL;
  }
  tl_http *http = calloc(1, sizeof *http);
  if (http) {
    http->easy = curl.easy_init();
    http->headers = curl.append(NULL, "Content-Type: application/octet-stream");
    // Without it a body of more than 1 MB waits for "100 Continue".
    if (http->headers && !curl.append(http->headers, "Expect:")) {
      curl.free_all(http->headers);
      http->headers = NULL;
    }
  }
  if (http && http->easy && http->headers) return http;
  if (http) tl_http_end(http);
  snprintf(error, length, "no memory for an HTTP connection");
  return NULL;
}

void tl_http_end(tl_http *http) {
  if (http->easy) curl.easy_cleanup(http->easy);
  curl.free_all(http->headers);
  free(http);
}

static size_t discard(char *bytes, size_t size, size_t count, void *context) {
  (void)bytes, (void)context;
  return size * count;
}

static size_t header(char *bytes, size_t size, size_t count, void *context) {
  static const char name[] = "retry-after:";
  const size_t prefix = sizeof name - 1, length = size * count;
  tl_http_answer *answer = context;
  // A status line begins another answer, after "100 Continue" say.
  if (length >= 5 && memcmp(bytes, "HTTP/", 5) == 0) answer->retry_after[0] = 0;
  if (length > prefix && strncasecmp(bytes, name, prefix) == 0) {
    // The value alone: white space around it is not part of it (RFC 9110, section 5.5), nor is the end of the line.
    const char *from = bytes + prefix, *to = bytes + length;
    while (from < to && strchr(" \t\r\n", from[0])) from++;
    while (from < to && strchr(" \t\r\n", to[-1])) to--;
    snprintf(answer->retry_after, sizeof answer->retry_after, "%.*s", (int)(to - from), from);
  }
  return length;
}

/// A peer that hangs up while TLS is written raises SIGPIPE, whatever libcurl is told (CURLOPT_NOSIGNAL(3)).
static CURLcode perform_without_sigpipe(CURL *easy) {
  sigset_t pipe, before, pending;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  sigpending(&pending);
  pthread_sigmask(SIG_BLOCK, &pipe, &before);
  CURLcode code = curl.perform(easy);
  const struct timespec none = {0, 0};
  if (!sigismember(&pending, SIGPIPE)) sigtimedwait(&pipe, NULL, &none);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return code;
}

void tl_http_post(tl_http *http, const char *url, const void *body, size_t length, long timeout_ms,
                  tl_http_answer *answer) {
  memset(answer, 0, sizeof *answer);
  char detail[CURL_ERROR_SIZE] = "";
  CURL *easy = http->easy;
  // Threads share the process: no signals for time limits.
  curl.setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl.setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl.setopt(easy, CURLOPT_POST, 1L);
  curl.setopt(easy, CURLOPT_POSTFIELDS, body);
  curl.setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
  curl.setopt(easy, CURLOPT_HTTPHEADER, http->headers);
  curl.setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
  curl.setopt(easy, CURLOPT_WRITEFUNCTION, discard);
  curl.setopt(easy, CURLOPT_HEADERFUNCTION, header);
  curl.setopt(easy, CURLOPT_HEADERDATA, answer);
  curl.setopt(easy, CURLOPT_ERRORBUFFER, detail);
  CURLcode code = curl.setopt(easy, CURLOPT_URL, url);
  if (code == CURLE_OK) code = perform_without_sigpipe(easy);
  if (code == CURLE_OK) {
    curl.getinfo(easy, CURLINFO_RESPONSE_CODE, &answer->status);
  } else {
    answer->not_connected =
      code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY;
    snprintf(answer->error, sizeof answer->error, "%s", detail[0] ? detail : curl.text(code));
  }
  // They are on this call's stack.
  curl.setopt(easy, CURLOPT_ERRORBUFFER, NULL);
  curl.setopt(easy, CURLOPT_HEADERDATA, NULL);
}
