/*
 * What a front may change while it runs.
 */
#ifndef HTTPD_SETTINGS_H
#define HTTPD_SETTINGS_H

#include "httpd/httpd.h"
#include "proto/proto.h"

/* Fills httpd->settings from the configuration, for the role. */
void settings_init(struct httpd *httpd);

/* Takes over what the broker sent; `arg` is the httpd. */
void settings_on_message(void *arg, const struct proto_settings *settings);

/* Frees what they own. */
void settings_clear(struct httpd *httpd);

#endif
