/*
 * Everything that an administrator may look at: `streamhold inspect`, `streamhold
 * status`, and the state dump (SIGUSR1).
 */
#ifndef BROKER_REPORT_H
#define BROKER_REPORT_H

#include "broker/dispatch.h"

/* Message `report_get`. */
dispatch_fn on_report_get;

/* Writes the same to the log, a line a section. */
void report_log(struct broker *broker);

#endif
