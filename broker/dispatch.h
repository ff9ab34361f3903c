/*
 * Which message is handled by which function, and who may send it: the table of
 * contents of the broker.
 */
#ifndef BROKER_DISPATCH_H
#define BROKER_DISPATCH_H

#include "broker/broker.h"
#include "proto/proto.h"

/* Handles one request or notification. `msg` is cleared by the caller afterwards
 * unless taken with proto_move. A request is answered through a flow, or at once with
 * client_answer or client_fail. */
typedef void dispatch_fn(struct client *client, struct proto_msg *msg);

/* Finds the row, checks the client's role and calls the function. A message that the
 * role may not send closes the connection: chan_free is left to the owner, so false is
 * returned with nothing done. */
bool dispatch(struct client *client, struct proto_msg *msg);

/* Whether a row exists for a type; for the structure test. */
bool dispatch_knows(enum proto_type type);

/* Sends an answer, a row, or a failure to the request `rid`. NULL as sentence takes
 * the meaning in errors.def. */
void client_answer(struct client *client, uint32_t rid, const struct proto_msg *answer);
void client_fail(
    struct client *client, uint32_t rid, enum proto_error error, const char *sentence);

#endif
