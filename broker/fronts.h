/*
 * The links to the two fronts: the broker connects, httpd listens.
 */
#ifndef BROKER_FRONTS_H
#define BROKER_FRONTS_H

#include <sys/types.h>

#include "broker/broker.h"

struct fronts;

/* Begins to connect to both link sockets and goes on until fronts_free. `api_uid` and
 * `webhook_uid` are who must be behind them. */
struct fronts *fronts_new(struct broker *broker, uid_t api_uid, uid_t webhook_uid);

/* Sends the reloadable settings to the fronts that are connected. */
void fronts_push_settings(struct fronts *fronts);

/* Closes both links and frees. NULL is allowed. */
void fronts_free(struct fronts *fronts);

#endif
