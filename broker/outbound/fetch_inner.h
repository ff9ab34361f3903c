/*
 * Between the files of the outbound calls: one transfer, and the set of them. Nobody
 * else includes this.
 */
#ifndef BROKER_OUTBOUND_FETCH_INNER_H
#define BROKER_OUTBOUND_FETCH_INNER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include <curl/curl.h>

#include "broker/outbound/fetch.h"
#include "common/buf.h"

struct event;
struct event_base;

struct fetch {
	struct fetcher *fetcher;
	CURL *curl;
	struct curl_slist *headers;
	struct secret body; /* of the request; libcurl borrows it */
	struct buf received;
	size_t header_bytes;
	unsigned header_lines;
	enum fetch_reach reach;
	bool plain;     /* http */
	bool forbidden; /* an address was outside of the reach */
	bool too_large;
	bool finished;
	CURLcode code;
	struct fetch_reply reply;
	fetch_done_fn *done;
	void *arg;
	TAILQ_ENTRY(fetch) entry;
};

TAILQ_HEAD(fetches, fetch);

struct fetcher {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;
	struct fetches running;
	struct fetches finished;
	size_t count;
	bool telling; /* finished callbacks are being called */
};

/* Logs and ends the process, which cannot go on as it is; its supervisor starts it
 * again. */
__attribute__((noreturn)) void fetch_broken(const char *what);

/* Wipes and frees a transfer that is in no list and not libcurl's any more. */
void fetch_free(struct fetch *fetch);

/* Sets every option of a fresh transfer and takes the request's secrets over. */
void fetch_transfer_prepare(struct fetch *fetch, struct fetch_request *request);

/* Fills in the reply of a transfer that has finished. */
void fetch_transfer_finish(struct fetch *fetch);

/* Sets the callbacks by which libcurl and the loop work together. */
void fetch_multi_init(struct fetcher *fetcher);

#endif
