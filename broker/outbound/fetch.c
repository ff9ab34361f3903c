/*
 * Outbound calls: libcurl's multi interface on the broker's loop.
 *
 * The files fetch*.c are the only ones that include libcurl: this one begins and ends
 * calls, fetch_transfer.c says how a call is made and what came of it, fetch_multi.c
 * drives them from the loop. A transfer is owned here from fetch_start until its
 * callback has returned or fetch_cancel.
 */
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/outbound/fetch_inner.h"
#include "common/locked_memory.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

void
fetch_request_header(struct fetch_request *request, const char *name,
    const char *scheme, const struct secret *value)
{
	if (request->header_count == FETCH_HEADERS_MAX)
		abort();
	request->headers[request->header_count++] = secret_join(name, ": ",
	    scheme ? scheme : "", scheme ? " " : "", secret_text(value), NULL);
}

void
fetch_request_clear(struct fetch_request *request)
{
	size_t i;

	for (i = 0; i < request->header_count; i++)
		secret_clear(&request->headers[i]);
	request->header_count = 0;
	secret_clear(&request->body);
}

void
fetch_broken(const char *what)
{
	log_error("fetch", "%s", what);
	abort();
}

struct fetcher *
fetcher_new(struct event_base *base)
{
	struct fetcher *fetcher;

	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, locked_malloc, locked_free,
		locked_realloc, locked_strdup, locked_calloc) != CURLE_OK)
		return NULL;
	fetcher = xcalloc(1, sizeof(*fetcher));
	fetcher->base = base;
	TAILQ_INIT(&fetcher->running);
	TAILQ_INIT(&fetcher->finished);
	fetcher->multi = curl_multi_init();
	if (!fetcher->multi)
		fetch_broken("cannot be set up: out of memory");
	fetch_multi_init(fetcher);
	return fetcher;
}

void
fetcher_free(struct fetcher *fetcher)
{
	if (!fetcher)
		return;
	while (!TAILQ_EMPTY(&fetcher->running))
		fetch_cancel(TAILQ_FIRST(&fetcher->running));
	while (!TAILQ_EMPTY(&fetcher->finished))
		fetch_cancel(TAILQ_FIRST(&fetcher->finished));
	curl_multi_cleanup(fetcher->multi);
	event_free(fetcher->timer);
	free(fetcher);
	curl_global_cleanup();
}

size_t
fetcher_count(const struct fetcher *fetcher)
{
	return fetcher->count;
}

struct fetch *
fetch_start(struct fetcher *fetcher, struct fetch_request *request, fetch_done_fn *done,
    void *arg)
{
	struct fetch *fetch = xcalloc(1, sizeof(*fetch));

	fetch->received = BUF_LOCKED;

	fetch->fetcher = fetcher;
	fetch->done = done;
	fetch->arg = arg;
	fetch->curl = curl_easy_init();
	if (!fetch->curl)
		fetch_broken("cannot make a transfer: out of memory");
	fetch_transfer_prepare(fetch, request);
	fetch->reply.started_at = time_now_ms();
	TAILQ_INSERT_TAIL(&fetcher->running, fetch, entry);
	fetcher->count++;
	if (curl_multi_add_handle(fetcher->multi, fetch->curl) != CURLM_OK)
		fetch_broken("cannot start a transfer: out of memory");
	return fetch;
}

void
fetch_cancel(struct fetch *fetch)
{
	struct fetcher *fetcher = fetch->fetcher;

	TAILQ_REMOVE(
	    fetch->finished ? &fetcher->finished : &fetcher->running, fetch, entry);
	curl_multi_remove_handle(fetcher->multi, fetch->curl);
	fetch_free(fetch);
}

void
fetch_free(struct fetch *fetch)
{
	fetch->fetcher->count--;
	curl_easy_cleanup(fetch->curl);
	curl_slist_free_all(fetch->headers);
	secret_clear(&fetch->body);
	secret_clear(&fetch->reply.body);
	buf_wipe(&fetch->received);
	free(fetch);
}

const char *
fetch_library_version(void)
{
	return curl_version_info(CURLVERSION_NOW)->version;
}
