/*
 * What is to be done about the subscriptions of one channel: a pure function of what is
 * wanted, what the platform lists and what Streamhold has on record (facts/kick.md 4).
 *
 * The rules:
 *	- A wanted event is served by any listed subscription, whoever made it. What is
 *	  not served is created, all in one call.
 *	- Of several of ours for one event the oldest stays, the others are removed.
 *	- Ours that are not wanted are removed. Others' are never touched; `adopt` makes
 *	  them ours first.
 *	- The platform may confirm a creation and not list it (for a while, or ever).
 *Such an event is awaited, and created again only when the time of sub_plan_wait_ms has
 *	  passed since.
 *	- A creation that was never answered is treated like a confirmed one, and what
 *is listed of it later is ours.
 */
#ifndef BROKER_SUBSCRIPTIONS_SUB_PLAN_H
#define BROKER_SUBSCRIPTIONS_SUB_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the platform's ids and event names, with their NUL. */
#define SUB_ID_SIZE 65
#define SUB_EVENT_SIZE 65

/* The version of every event that is asked for. */
#define SUB_VERSION 1

/* How long a confirmed creation is waited for in lists: from the first to the last,
 * four times as long after each that never came. */
#define SUB_WAIT_FIRST_MS (60 * 1000)
#define SUB_WAIT_LAST_MS (60 * 60 * 1000)
/* A record of what is listed no more is kept so long, in case it comes back. */
#define SUB_FORGET_MS (24 * 60 * 60 * 1000)
/* How much earlier than our note of a creation the platform's clock may date it. */
#define SUB_CLAIM_SKEW_MS (5 * 60 * 1000)

struct sub_wanted {
	const char *event;
	bool held; /* not to be created in this pass: it was refused a short while ago
		    */
};

/* A subscription as the platform lists it. */
struct sub_listed {
	char id[SUB_ID_SIZE];
	char event[SUB_EVENT_SIZE];
	uint32_t version;
	bool webhook;       /* its method */
	int64_t created_at; /* wall clock ms by the platform's clock, 0: not said */
};

/* A subscription on our record. */
struct sub_owned {
	char id[SUB_ID_SIZE];
	char event[SUB_EVENT_SIZE];
	uint32_t version;
	int64_t made_at;   /* wall clock ms */
	int64_t listed_at; /* 0: never */
	bool adopted;
	bool removed; /* its removal was asked for */
};

struct sub_plan_input {
	const struct sub_wanted *wanted;
	size_t wanted_count;
	const struct sub_listed *listed;
	size_t listed_count;
	const struct sub_owned *owned;
	size_t owned_count;
	const char *asked; /* events of a creation without an answer, NULL: none */
	int64_t asked_at;  /* wall clock ms */
	int64_t now;       /* wall clock ms */
	bool impatient;    /* somebody asked: wait for the shortest time only */
	bool adopt;
};

/* How a wanted event is served. */
enum sub_presence {
	SUB_MISSING,  /* nobody has it, and it is not to be created now */
	SUB_CREATE,   /* nobody has it, and it is to be created */
	SUB_AWAITED,  /* created and not listed yet */
	SUB_COVERED,  /* by a subscription that is not ours */
	SUB_IN_FORCE, /* by one of ours */
};

enum sub_action_kind {
	SUB_DO_ADOPT,  /* `id` becomes ours */
	SUB_DO_REMOVE, /* `id` is to be removed at the platform */
	SUB_DO_CREATE, /* `event` is to be created */
	SUB_DO_FORGET, /* the record of `id` is to go */
};

/* Texts are borrowed from the input. */
struct sub_action {
	enum sub_action_kind kind;
	const char *id; /* NULL for SUB_DO_CREATE */
	const char *event;
	uint32_t version;
};

struct sub_served {
	enum sub_presence presence;
	const char *id;     /* in force or covered: by which; NULL otherwise */
	bool doubled;       /* one of ours and somebody else's */
	unsigned unlisted;  /* confirmed creations that never came */
	int64_t created_at; /* of `id`, 0: not said */
};

struct sub_plan {
	struct sub_action *actions;
	size_t action_count;
	struct sub_served *served; /* one for each that is wanted, in its order */
	size_t strangers;          /* listed ones that are not ours */
};

/* Makes the plan; the caller calls sub_plan_clear before the input goes. */
void sub_plan_make(const struct sub_plan_input *input, struct sub_plan *ret_plan);
void sub_plan_clear(struct sub_plan *plan);

/* How many actions of a kind there are. */
size_t sub_plan_count(const struct sub_plan *plan, enum sub_action_kind kind);

/* How long after a creation its event is created again when it is not listed;
 * `unlisted` creations of it have never been. */
int64_t sub_plan_wait_ms(unsigned unlisted);

/* Whether one of the words, separated by spaces, is `word`. NULL has none. */
bool sub_has_word(const char *words, const char *word);

#endif
