/*
 * The broker's memory: which allocator each library has, and how much of what secrets
 * lie in is kept out of swap and core dumps.
 */
#ifndef BROKER_MEMORY_H
#define BROKER_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Gives every library its allocator; before any of them is used, and before there is a
 * second thread. Ends the process when one does not take it. */
void memory_start(void);

/* Bytes that a sentence of memory_trouble takes. */
#define MEMORY_TROUBLE_SIZE 200

/* What is not as it should be, and what to do, in a sentence; false and "" when
 * everything is. */
bool memory_trouble(char text[static MEMORY_TROUBLE_SIZE]);

#endif
