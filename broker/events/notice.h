/*
 * What Streamhold tells of itself, as events beside those of the platforms.
 */
#ifndef BROKER_EVENTS_NOTICE_H
#define BROKER_EVENTS_NOTICE_H

#include "broker/broker.h"

/* Texts are copied, but for the name of the platform, which must be static. */
struct notice {
	const char *type;             /* as readers see it */
	const char *platform;         /* NULL: the one whose events they are about */
	const char *id;               /* the same for the same occurrence */
	const char *broadcaster_id;   /* of the channel that it is about; NULL: none */
	const char *broadcaster_name; /* NULL: none */
	const char *body;             /* a JSON object */
};

/* Queues a job that stores it. A failure is logged. */
void notice_store(struct broker *broker, const struct notice *notice);

#endif
