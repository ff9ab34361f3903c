/*
 * One refresh in progress and the state of refreshing as a whole, shared by the files
 * that tell its story: refresh_schedule.c (when), refresh_join.c (who asks), refresh.c
 * (up to the request), refresh_adopt.c (what a crash left in the keyring),
 * refresh_reply.c (what the platform answered), refresh_keep.c (fresh tokens),
 * refresh_lose.c (the end of a login), refresh_proof.c (which of them work),
 * refresh_pause.c (when credentials are wrong) and refresh_end.c.
 */
#ifndef BROKER_OAUTH_REFRESH_RUN_H
#define BROKER_OAUTH_REFRESH_RUN_H

#include <sys/queue.h>

#include "broker/flow.h"
#include "broker/oauth/refresh.h"
#include "broker/oauth/steps.h"
#include "broker/oauth/token_reply.h"

struct event;

/* Longer than all its calls together take. */
#define REFRESH_DEADLINE_MS 90000
/* The look-up of a life that a reply did not tell. */
#define REFRESH_LIFE_MS 5000
/* Tokens that could not be stored are tried again: after so long, doubling. */
#define REFRESH_HOLD_MS 1000
#define REFRESH_HOLD_MAX_MS 30000

struct refresh;

struct refresh_wait {
	struct refresh *refresh; /* NULL: the outcome is known, and told by the timer */
	struct event *timer;
	enum proto_error error;
	char *sentence;
	uint32_t retry_after;
	refresh_done_fn *done;
	void *arg;
	LIST_ENTRY(refresh_wait) entry;
};
LIST_HEAD(refresh_waits, refresh_wait);

/* Belongs to the account and not to anybody who waits; holds copies only. It is a flow
 * without a client, so that it is counted and cancelled as all others are. */
struct refresh {
	struct flow flow;
	const struct platform *platform;
	char *username;
	char *username_key;
	char *secret_name;
	char *client_id;
	uint64_t generation; /* of the tokens it began with */
	struct event *timer; /* of the step that waits for a time; NULL: none */
	void (*next)(struct refresh *refresh); /* what follows that step */

	struct tokens tokens;
	struct secret client_secret;
	struct buf tokens_sealed; /* between `load` and `unseal` */
	struct buf client_sealed;
	uint64_t client_generation;
	/* The refresh token before, until the one in use is proven; empty: none. Opened
	 * only to be sent. */
	char *previous_name;
	struct buf previous_sealed;
	struct secret previous_token;

	bool asked;     /* by somebody, by name */
	bool previous;  /* the token before is sent, not the one in use */
	unsigned sends; /* of that token that may have been carried out; 0: no doubt */
	unsigned refusals; /* for good, of the token in use */
	int64_t noted_at;  /* wall clock ms; of the note that was found at start, 0: it
			    * is settled or there was none */
	uint64_t adopted;  /* generation of the item that was found; 0: none */

	struct token_reply reply;
	int64_t asked_at; /* wall clock ms before it was sent */
	int64_t expires_at;
	struct secret replaced;  /* the refresh token that a new one replaces */
	struct buf fresh_sealed; /* until they are stored */
	struct buf replaced_sealed;
	uint64_t fresh_generation;
	unsigned holds; /* how often storing failed */
	bool unsettled; /* the platform may carry it out, or has, and nothing is stored
			 */
	const struct platform_question *question;
	struct identity identity;

	bool ending; /* those who wait are being told */
	struct refresh_waits waits;
	LIST_ENTRY(refresh) entry;
};

struct refresher {
	LIST_HEAD(refreshes, refresh) running;
	size_t count;
	struct refresh_waits told; /* waits whose outcome is known */
	struct event *timer;       /* of the schedule */
	bool soon;                 /* it runs in a moment */
	int64_t clock_gap;         /* wall clock minus boot time at the last look */
	char *pauses[CONFIG_PLATFORM_MAX]; /* why; NULL: none */
	bool stopping;                     /* nothing is begun any more */
};

struct refresher *refresher_of(const struct broker *broker);

/* The account as long as it has the tokens that the refresh began with, else NULL. */
struct account *refresh_account(const struct refresh *refresh);

/* Nothing is refreshed at a platform until its credentials change (refresh_pause.c).
 * The sentence says why and what to do; it is copied. */
void refresh_pause_begin(
    struct broker *broker, const struct platform *platform, const char *sentence);

/* The refresh of an account that is under way, NULL: there is none. */
struct refresh *
refresh_running(const struct broker *broker, const struct account *account);

/* Begins a refresh of an account that has none. `asked`: somebody has asked for it by
 * name, which allows a further send of a token in doubt. */
struct refresh *
refresh_begin(struct broker *broker, const struct account *account, bool asked);

/* Goes on to refresh_note, or to the end when the token in doubt may not be sent any
 * more. */
void refresh_go_on(struct refresh *refresh);

/* Notes durably what is about to be sent, and sends it, unless the keystore could not
 * keep what comes back. */
void refresh_note(struct refresh *refresh);

/* Looks for what a refresh that was cut off has left in the keyring, and keeps it or
 * goes on with refresh_go_on (refresh_adopt.c). */
void refresh_look(struct refresh *refresh);

/* Goes on with the refresh token before the one in use, where there is one and the
 * platform takes it; false when not. */
bool refresh_send_previous(struct refresh *refresh);

/* Ends the refresh after a failed call of the vault. */
void refresh_fail_vault(struct refresh *refresh, int result);

/* Called with what the platform answered (refresh_reply.c). */
void refresh_on_reply(void *arg, struct fetch_reply *reply);

/* Stores what a reply brought (refresh_keep.c). */
void refresh_keep(struct refresh *refresh);

/* Whether an account is one whose login is lost. */
bool refresh_is_lost(const struct account *account);

/* Ends the login with a reason: state, event and the end of the note are stored in one
 * transaction (refresh_lose.c). `kept`: the platform has not refused the refresh token,
 * so it stays for whoever asks for one more try; else the tokens are erased. */
void refresh_lose(struct refresh *refresh, const char *reason, bool kept);

/* What is said of a refresh in doubt whose retry got no usable answer. */
void refresh_undecided_sentence(const struct platform *platform, const char *username,
    char sentence[STEPS_SENTENCE_SIZE]);

/* The broker ends while tokens are held: what is sealed is stored if that works at
 * last, and a loss is told. */
void refresh_keep_last(struct refresh *refresh);

/* Waits a time and goes on with `next`. */
void
refresh_pause_for(struct refresh *refresh, int64_t ms, void (*next)(struct refresh *));

/* Ends the refresh and tells everybody who waits. A failure is noted in the account's
 * plan, and tried again after a back-off of at least retry_after_s. */
__attribute__((format(printf, 4, 5))) void refresh_fail(struct refresh *refresh,
    enum proto_error error, uint32_t retry_after_s, const char *format, ...);
void refresh_end_well(struct refresh *refresh);

/* Frees it, also where the broker ends or the flow's deadline passes. */
void refresh_release(struct flow *flow);

/* Tells those who wait, and goes on without them. */
void refresh_tell(struct refresh *refresh, const struct refresh_end *end);

/* Takes over into the account's plan whether the token that was sent last is still
 * good: not known when a send of it may have been carried out. */
void refresh_doubt(const struct refresh *refresh, struct account *account);

/* What is shown of an account until a refresh ends well. */
void refresh_note_trouble(
    struct account *account, enum proto_error error, const char *sentence);

/* When an account that failed is tried again. */
void refresh_back_off(struct account *account, enum proto_error error,
    uint32_t retry_after_s, const char *sentence);

#endif
