/*
 * The words and bits by which both programs speak of events (docs/events.md).
 */
#ifndef COMMON_EVENT_H
#define COMMON_EVENT_H

/* Marks of an event, kept as bits. Those that change after it was stored, or that
 * belong to one reader, are never stored. */
enum event_flag {
	EVENT_FOREIGN = 1,       /* of a broadcaster that is not ours */
	EVENT_UNKNOWN = 2,       /* of a type or version that is not known */
	EVENT_NOT_JSON = 4,      /* the body is no valid JSON */
	EVENT_DAMAGED = 8,       /* never stored: the body read differs from its hash */
	EVENT_OWN = 16,          /* no delivery: Streamhold tells of itself */
	EVENT_LATE = 32,         /* it came long after it was sent */
	EVENT_SYNTHETIC = 64,    /* made for a test, signed with a key of ours */
	EVENT_QUARANTINED = 128, /* the body is not what its type says */
	EVENT_DUPLICATE = 256,   /* the same event came before under another id */
	EVENT_REDELIVERED = 512, /* never stored: given to this reader before */
	EVENT_MASKED = 1024,     /* an anonymous person's identity is left out */
};

/* Marks with which an event is handed on only to those that ask for it. */
#define EVENT_ASKED_FOR (EVENT_FOREIGN | EVENT_SYNTHETIC | EVENT_QUARANTINED)

/* The kinds. `account` is about a login, `notice` is anything else that Streamhold says
 * of itself; `unknown` is a type or version without a model. */
#define EVENT_KIND_FOLLOW "follow"
#define EVENT_KIND_SUBSCRIPTION "subscription"
#define EVENT_KIND_GIFT "gift"
#define EVENT_KIND_TIP "tip"
#define EVENT_KIND_CHAT "chat"
#define EVENT_KIND_STREAM "stream"
#define EVENT_KIND_REWARD "reward"
#define EVENT_KIND_MODERATION "moderation"
#define EVENT_KIND_ACCOUNT "account"
#define EVENT_KIND_NOTICE "notice"
#define EVENT_KIND_UNKNOWN "unknown"

#endif
