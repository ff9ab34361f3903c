/*
 * What an event is, whatever its platform calls it.
 */
#ifndef BROKER_EVENTS_EVENT_KIND_H
#define BROKER_EVENTS_EVENT_KIND_H

#include <stdint.h>

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

/* The kind of an event, static text, never NULL. `flags` are those of the stored event;
 * absent texts may be NULL. */
const char *
event_kind(const char *platform, const char *type, uint32_t version, uint32_t flags);

#endif
