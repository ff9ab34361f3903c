/*
 * Opening one stored secret in a flow: steps `load` and `unseal`. Only for the files of
 * this folder.
 */
#ifndef BROKER_OAUTH_SEALED_H
#define BROKER_OAUTH_SEALED_H

#include <stdint.h>

#include "broker/flow.h"
#include "common/secret.h"

enum sealed_end {
	SEALED_opened,
	SEALED_absent, /* nothing is stored under the name */
	SEALED_store,  /* the database failed */
	SEALED_vault,  /* the keystore does not open it */
};

struct sealed {
	enum sealed_end end;
	int result;           /* a negative errno of the last two */
	uint64_t generation;  /* not of `absent` and `store` */
	struct secret *plain; /* of `opened`; may be moved out */
};

typedef void sealed_done_fn(struct flow *flow, const struct sealed *sealed);

/* Reads and opens what is stored under `name`, which it takes over. The flow waits for
 * it; `done` is called from the loop when the flow goes on, and never when the flow has
 * ended before. */
void sealed_open(struct flow *flow, char *name, sealed_done_fn *done);

/* Ends the flow after a failure of database or keystore. */
void sealed_fail(struct flow *flow, const struct sealed *sealed);

#endif
