/*
 * Which events a reader wants: one rule for pages, streams and consumers, evaluated in
 * the broker where rows are read and in httpd where one feed serves many readers.
 */
#ifndef COMMON_EVENT_FILTER_H
#define COMMON_EVENT_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What may be wanted. Each list holds words with commas between, any of which may fit;
 * NULL or "" wants all. */
struct event_filter {
	const char *types;
	const char *platforms;
	const char *kinds;
	const char *broadcasters; /* user ids, or names in any ASCII case */
	uint32_t include;         /* of EVENT_ASKED_FOR, what is not left out */
};

/* What is known of an event; absent texts are NULL. */
struct event_facts {
	const char *type;
	const char *platform;
	const char *kind;
	const char *broadcaster_id;
	const char *broadcaster_name;
	uint32_t flags; /* of enum event_flag */
};

bool
event_filter_fits(const struct event_filter *filter, const struct event_facts *facts);

/* Whether a list needs the kind, which takes a look-up to know. */
static inline bool
event_filter_has(const char *list)
{
	return list && list[0];
}

/* The bit of a word that `include` takes (foreign, synthetic, quarantined), 0 when it
 * takes no such word. */
uint32_t event_include_bit(const char *word, size_t length);

/* Whether there is such a kind. */
bool event_kind_exists(const char *word, size_t length);

/* The next word of a list with commas, empty ones left out; *at moves on. False at the
 * end. */
bool event_list_next(const char **at, const char **ret_word, size_t *ret_length);

#endif
