/*
 * Is an event about one of our channels? One signing key serves all apps of the
 * platform, so a good signature alone does not say so (facts/kick.md 2.2).
 */
#ifndef BROKER_EVENTS_OURS_H
#define BROKER_EVENTS_OURS_H

#include "broker/broker.h"
#include "broker/events/kick_event.h"

struct ours;

struct ours *ours_new(const struct broker *broker);
void ours_free(struct ours *ours); /* NULL is allowed */

/* Whether the broadcaster is ours by user id, or by name or slug equal to an account or
 * a subscription without regard to ASCII case. While there is neither account nor
 * subscription everything is ours (design.md 5). Cheap however many accounts there
 * are. */
bool ours_has(struct ours *ours, const struct kick_event *event);

#endif
