/*
 * What texts in the configuration must look like: hosts, addresses, paths and names.
 *
 * Pure. Each check returns NULL when the text is right, else the reason why not, as
 * static text that completes "found the text ... :". Texts come from the file and may
 * hold anything but NUL.
 */
#ifndef COMMON_CONFIG_CHECK_H
#define COMMON_CONFIG_CHECK_H

#include "common/config.h"

/* Applies the check of a row to a text. */
const char *config_check_text(enum config_check check, const char *text);

/* What a check allows, to follow "must be": "an absolute path". */
const char *config_check_allows(enum config_check check);

/* An extended regular expression that is necessary for a check, for the schema; NULL
 * when there is none. */
const char *config_check_pattern(enum config_check check);

/* Whether the name of a feature is right: a lower-case letter, then lower-case
 * letters, digits, '_', '.' and '-', CONFIG_FEATURE_NAME_MAX bytes at most. */
bool config_check_feature_name(const char *name);
#define CONFIG_FEATURE_NAME_PATTERN "^[a-z][a-z0-9_.-]{0,63}$"

/* Whether an address carries a user name or password, which must not be shown. */
bool config_check_has_userinfo(const char *url);

#endif
