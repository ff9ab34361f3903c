/*
 * Memory of the broker and its figures. Called by main first of all, then by whoever
 * tells how it stands: start.c, health.c, figures.c.
 */
#include <malloc.h>
#include <stdio.h>

#include <jansson.h>

#include "broker/figures.h"
#include "broker/memory.h"
#include "broker/store/store.h"
#include "common/crypto.h"
#include "common/locked_memory.h"
#include "common/log.h"
#include "common/process.h"

/* Free memory at the end of the heap that is kept for the next batch. */
#define MEMORY_KEPT (4 * 1024 * 1024)

/* The C library is kept from giving memory back and asking for it again with every
 * batch of the database's thread. libcurl gets its allocator when it is set up
 * (fetch.c); msgpack-c only points into frames, which are ours (proto/codec.c). */
void
memory_start(void)
{
	(void)mallopt(M_ARENA_MAX, 1);
	(void)mallopt(M_TRIM_THRESHOLD, MEMORY_KEPT);
	locked_memory_start();
	locked_memory_stack();
	json_set_alloc_funcs(locked_malloc, locked_free);
	if (crypto_wipe_memory() < 0)
		fatal(EXIT_INIT, "start", "OpenSSL does not take an allocator");
	if (store_wipe_memory() < 0)
		fatal(EXIT_INIT, "start", "SQLite does not take an allocator");
}

bool
memory_trouble(char text[static MEMORY_TROUBLE_SIZE])
{
	struct locked_memory_figures memory = locked_memory_figures();

	*text = '\0';
	if (memory.wanted && !memory.undumpable)
		(void)snprintf(text, MEMORY_TROUBLE_SIZE,
		    "secrets are not left out of core dumps, nor kept out of swap; "
		    "switch both off");
	else if (memory.locked < memory.wanted)
		(void)snprintf(text, MEMORY_TROUBLE_SIZE,
		    "only %zu of %zu KiB for secrets can be kept out of swap; set "
		    "LimitMEMLOCK=8M in the unit, or 'ulimit -l 8192'",
		    memory.locked / 1024, memory.wanted / 1024);
	return *text != '\0';
}

void
figures_memory(struct metrics *metrics, void *arg)
{
	struct locked_memory_figures memory = locked_memory_figures();

	(void)arg;
	metric_family(metrics, "streamhold_secret_memory_bytes", METRIC_GAUGE,
	    "Memory for secrets and the libraries that they pass through.");
	metric_put(metrics, memory.wanted, "what", "wanted", NULL);
	metric_put(metrics, memory.locked, "what", "locked", NULL);
	metric_put(metrics, memory.used, "what", "used", NULL);
	metric_put(metrics, memory.most, "what", "most", NULL);
	metric_put(metrics, memory.spare, "what", "unlocked", NULL);
}
