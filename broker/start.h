/*
 * The steps of starting and stopping, in the order in which main() calls them. Each
 * ends the process with the exit status of design.md 2 when it cannot be done.
 */
#ifndef BROKER_START_H
#define BROKER_START_H

#include "broker/broker.h"
#include "broker/options.h"

/* Reads the configuration, sets up the log, resolves the paths. With -n it leaves. */
void start_config(struct broker *broker, const struct options *options);

/* Makes the loop and catches signals. */
void start_loop(struct broker *broker);

/* Makes the state folder, or checks it. */
void start_folder(struct broker *broker);

/* Opens database and keystore. */
void start_storage(struct broker *broker);

/* Public key, outbound calls, accounts. */
void start_services(struct broker *broker);

/* Takes the admin socket, begins to connect to the fronts, tells the supervisor. */
void start_peers(struct broker *broker, const struct options *options);

/* Runs until it is told to stop; returns the exit status. */
int run(struct broker *broker);

#endif
