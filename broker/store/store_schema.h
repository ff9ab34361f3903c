/*
 * The steps that make the database what this version needs; see store_schema.c.
 */
#ifndef BROKER_STORE_STORE_SCHEMA_H
#define BROKER_STORE_STORE_SCHEMA_H

#include <stddef.h>

extern const char *const store_schema_steps[];
extern const size_t store_schema_count;

#endif
