// The only window on <curl/curl.h>.
//
// libcurl is opened by dlopen(3) at the first request. It brings 27 libraries with it, and loading them takes half of
// the start of a process: each worker of a trial would pay for them, and hardly one sends anything.
#ifndef TORNLOG_CCURL_H
#define TORNLOG_CCURL_H

#include <stddef.h>

/// A connection that is kept from one request to the next. One thread uses it at a time.
typedef struct tl_http tl_http;

typedef struct {
  long status;            ///< of the answer; 0 where none came
  int not_connected;      ///< whether no connection came about, so that nothing was sent
  char retry_after[64];   ///< the header's value, or ""
  char error[256];        ///< why no answer came, or ""
} tl_http_answer;

/// NULL where libcurl is missing or does not start; `error` says why, and what to do.
tl_http *tl_http_begin(char *error, size_t length);

/// Sends `body` by POST and waits for the whole answer, at most `timeout_ms`. Redirections are not followed.
void tl_http_post(tl_http *http, const char *url, const void *body, size_t length, long timeout_ms,
                  tl_http_answer *answer);

void tl_http_end(tl_http *http);

#endif
