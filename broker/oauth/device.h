/*
 * What a login by the device flow holds beside struct login_finish. For login_finish.c,
 * which frees it.
 */
#ifndef BROKER_OAUTH_DEVICE_H
#define BROKER_OAUTH_DEVICE_H

struct device;

/* Wipes and frees. NULL is allowed. */
void device_free(struct device *device);

#endif
