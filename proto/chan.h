/*
 * One peer on a Unix socket: frames, hello, requests paired with answers, deadlines.
 *
 * Both ends use it. Each side sends `hello` first; nothing else is accepted before it,
 * and a difference in schema, an unexpected role, a peer of another user, a message of
 * the wrong direction, an answer to nothing or a frame beyond the agreed length closes
 * the connection with a reason.
 *
 * Callbacks never run before the function that led to them has returned, and never
 * after chan_free or chan_cancel. The chan is driven by libevent on the caller's base.
 */
#ifndef PROTO_CHAN_H
#define PROTO_CHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/proto.h"

struct chan;
struct event_base;

/* Requests waiting for their answers on one chan. */
#define CHAN_PENDING_MAX 8192
/* Time for both hellos. */
#define CHAN_HELLO_MS 5000
/* Bytes that may wait to be read by the peer before the chan is given up. */
#define CHAN_OUTPUT_MAX (64 * 1024 * 1024)
/* Frames handled before other events of the loop get their turn. */
#define CHAN_FRAMES_A_TURN 16
/* Frames that are gathered in a turn before they are written, so that the peer can
 * begin while there is more to come. */
#define CHAN_FRAMES_A_WRITE 16

/* An uid that matches any peer. */
#define CHAN_ANY_UID ((uid_t)-1)

/* What became of a request. `answer` is a row of a list (`last` false), the final
 * answer or a `failed` message (`last` true), or NULL when the deadline passed or the
 * chan closed (`last` true). It is cleared after the callback unless taken with
 * proto_move. */
typedef void chan_answer_fn(void *arg, struct proto_msg *answer, bool last);

struct chan_handlers {
	/* Both hellos are exchanged; chan_hello tells what the peer said. */
	void (*on_ready)(struct chan *chan, void *arg);
	/* A request (rid > 0) or a notification (rid 0). Taken with proto_move or
	 * cleared after the callback. Requests are answered with chan_send under the
	 * same rid. */
	void (*on_message)(struct chan *chan, void *arg, struct proto_msg *msg);
	/* The connection ended, for the reason given. Pending requests get NULL answers
	 * before this. The chan must be freed, here or later. */
	void (*on_closed)(struct chan *chan, void *arg, const char *reason);
};

struct chan_options {
	const char *program; /* of this side, for hello */
	const char *version; /* of this side, for hello */
	const char *role;    /* of this side, for hello */
	const char *expect;  /* role that the peer must have; NULL: any */
	bool broker;         /* this side is the broker */
	bool vault;          /* the link to the keystore helper: the broker asks */
	bool locked_in;      /* what comes in lies in locked memory, */
	bool locked_out;     /* and what goes out */
	uid_t sender;        /* who must have written the peer's hello */
	size_t frame_max;    /* longest frame that is accepted, bytes */
	const struct chan_handlers *handlers;
	void *arg;
};

/* Takes over a connected nonblocking socket and sends hello. `options` is copied; its
 * texts must outlive the chan. */
struct chan *
chan_new(struct event_base *base, int fd, const struct chan_options *options);

/* Closes and frees; pending requests get no callback. NULL is allowed. */
void chan_free(struct chan *chan);

/* Sends a request, which is encoded at once. Returns its rid, or 0 when it cannot be
 * sent (not ready, too many pending, a field out of bounds); then no callback runs. */
uint32_t chan_request(struct chan *chan, const struct proto_msg *msg,
    unsigned deadline_ms, chan_answer_fn *answer, void *arg);

/* Forgets a request; its answer will be dropped. */
void chan_cancel(struct chan *chan, uint32_t rid);

/* Sends an answer (rid of the request), a row, or a notification (rid 0). 0, or a
 * negative errno: -ENOTCONN after close, -EINVAL or -EMSGSIZE as proto_encode. */
int chan_send(struct chan *chan, uint32_t rid, const struct proto_msg *msg);

/* Ends the connection because the peer broke a rule; on_closed follows from the loop.
 */
void chan_break(struct chan *chan, const char *reason);

/* Whether it ended because the peer broke a rule after its hello: the caller's
 * (chan_break), or one of the protocol's own. */
bool chan_was_broken(const struct chan *chan);

/* Stops and resumes reading, for back-pressure. */
void chan_pause(struct chan *chan, bool pause);

/* Bytes waiting to be read by the peer. */
size_t chan_backlog(const struct chan *chan);

/* Whether hellos are exchanged and the connection stands. */
bool chan_is_ready(const struct chan *chan);

/* What the peer's hello said; valid from on_ready to chan_free. */
const struct proto_hello *chan_hello(const struct chan *chan);

#endif
