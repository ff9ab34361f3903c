/*
 * Small questions about the broker's state that several files ask.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "common/alloc.h"

void
broker_count(struct broker *broker, const char *name, uint64_t more)
{
	struct counter *counter;
	unsigned count = 0;

	LIST_FOREACH (counter, &broker->counters, entry) {
		if (strcmp(counter->name, name) == 0) {
			counter->value += more;
			return;
		}
		count++;
	}
	if (count >= BROKER_COUNTERS_MAX)
		return;
	counter = xcalloc(1, sizeof(*counter));
	(void)snprintf(counter->name, sizeof(counter->name), "%s", name);
	counter->value = more;
	LIST_INSERT_HEAD(&broker->counters, counter, entry);
}

bool
broker_redirect_base(const struct broker *broker, char *text)
{
	const char *base = broker->config.oauth.redirect_base;
	uint32_t port =
	    broker->api.port ? broker->api.port : broker->config.server.port;

	if (base) {
		size_t length = strlen(base);

		if (length && base[length - 1] == '/')
			length--;
		(void)snprintf(text, BROKER_BASE_SIZE, "%.*s", (int)length, base);
		return true;
	}
	if (port == 0)
		return false;
	(void)snprintf(text, BROKER_BASE_SIZE, "http://localhost:%u", port);
	return true;
}
