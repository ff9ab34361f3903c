/*
 * Is an event about one of our channels? One signing key serves all apps of the
 * platform, so a good signature alone does not say so (facts/kick.md 2.2).
 */
#ifndef BROKER_EVENTS_OURS_H
#define BROKER_EVENTS_OURS_H

#include "broker/broker.h"
#include "broker/events/kick_event.h"
#include "broker/store/store_account.h"

/* Reads whether anything was ever known of channels. After accounts and subscriptions
 * have been started. 0 or a negative errno. */
int ours_start(struct broker *broker);

/* An account was stored, or what is wanted of a channel was said: makes a note of it.
 * Does nothing before ours_start. */
void ours_look(struct broker *broker);

/* Whether the broadcaster is ours by user id, or where one side does not know it by
 * name or slug equal to an account or a subscription without regard to ASCII case.
 * Everything is ours as long as there has never been an account, nor a word of what is
 * wanted (design.md 5). */
bool ours_has(const struct broker *broker, const struct kick_event *event);

/* The events that are wanted of an account, NULL when none are. Borrowed. */
const struct config_list *
ours_wanted(const struct broker *broker, const struct store_account *row);

#endif
