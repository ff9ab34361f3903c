/*
 * Addresses that events are pushed to: what they must look like. Pure.
 */
#ifndef BROKER_CONSUMERS_TARGET_H
#define BROKER_CONSUMERS_TARGET_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of an address. */
#define TARGET_MAX 1024
#define TARGET_HOST_MAX 255
#define TARGET_ERROR_SIZE 768

/*
 * Judges an address: http or https, a host, no user name, no fragment, visible ASCII.
 * A host that is known to lead to this machine or to a private network must be the one
 * in `private_host` (NULL: none is allowed), which opens these networks for it; plain
 * http is for such hosts only.
 *
 * 0 and whether private networks are open to it; or -EINVAL and a sentence that says
 * what to do in `error` (TARGET_ERROR_SIZE bytes).
 */
int target_check(
    const char *url, const char *private_host, bool *ret_private_too, char *error);

/* Scheme, host and port of an address that target_check has passed; `origin` takes 320
 * bytes. Paths and queries are often as good as passwords, and are not shown. */
void target_origin(const char *url, char *origin);

#endif
