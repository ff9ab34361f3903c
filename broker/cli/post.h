/*
 * One HTTP request to the webhook listener of this machine, as a platform would send
 * it.
 */
#ifndef BROKER_CLI_POST_H
#define BROKER_CLI_POST_H

#include <stdint.h>

#include "proto/proto.h"

#define POST_TIMEOUT_S 10
#define POST_BODY_SIZE 512

struct post_reply {
	unsigned status;           /* HTTP status */
	char body[POST_BODY_SIZE]; /* its first bytes, with NUL */
	uint64_t took_ms;
};

/* Sends a delivery and waits for the answer. 0, or a negative errno: -EPROTO when the
 * answer is no HTTP. */
int post_delivery(const struct proto_triggered *delivery, struct post_reply *ret_reply);

#endif
