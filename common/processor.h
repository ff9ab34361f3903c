/*
 * On which processor a thread runs, and how it makes room there.
 */
#ifndef COMMON_PROCESSOR_H
#define COMMON_PROCESSOR_H

/* The processor that runs this thread, by its number; negative: the machine does not
 * tell. It may be another one as soon as this returns. */
int processor_here(void);

/* Moves this thread from `processor` to another that it may use, and leaves those that
 * it may use as they were, so that the scheduler is free to bring it back. 0, or
 * negative errno: -ENOENT when there is no other, -EPERM where a sandbox forbids it. */
int processor_leave(int processor);

#endif
