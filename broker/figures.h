/*
 * The broker's own figures, and the list of all that are there from the start. Each
 * part's figures are written by a file of its own folder; what comes later registers
 * itself by metrics_add.
 */
#ifndef BROKER_FIGURES_H
#define BROKER_FIGURES_H

#include "broker/metrics.h"

/* Sources of the parts, each in the folder of its part; the argument is the broker. */
void figures_store(struct metrics *metrics, void *broker);
void figures_ingest(struct metrics *metrics, void *broker);
void figures_latency(struct metrics *metrics, void *broker);
void figures_retention(struct metrics *metrics, void *broker);
void figures_accounts(struct metrics *metrics, void *broker);
void figures_keystore(struct metrics *metrics, void *broker);
void figures_memory(struct metrics *metrics, void *broker);

/* Registers every part's source. Call it once, when all parts are there. */
void figures_start(struct broker *broker);

#endif
