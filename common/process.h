/*
 * What every daemon does to itself first, and how it talks to its supervisor.
 */
#ifndef COMMON_PROCESS_H
#define COMMON_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

/* Exit statuses of the daemons (design.md 2). EXIT_STORAGE is EX_IOERR: the broker
 * leaves with it after a failed commit, to be started again. EXIT_DAMAGED is
 * EX_DATAERR: the database is damaged; starting again would meet the same, so that is
 * left to a person. */
enum process_exit {
	EXIT_STOPPED = 0,
	EXIT_CONFIG = 1,
	EXIT_INIT = 2,
	EXIT_START = 3,
	EXIT_DAMAGED = 65,
	EXIT_STORAGE = 74,
};

/* Closes descriptors from 3 + passed on, sets umask 077, no core dump, not dumpable
 * (except in sanitizer builds, whose leak check needs it), no new privileges, ignores
 * SIGPIPE, is batch work to the scheduler (threads and children too), fixes the C
 * locale, reads the time zone once and removes variables that libraries would obey
 * (proxies, keystore test switches). `passed` is what sock_passed_init returned. */
void process_harden(int passed);

/* Blocks the signals that a daemon handles. Called when it has left its loop, so that
 * one more of them does not kill it while it cleans up. */
void process_block_signals(void);

/* Name of a passed socket (sock_passed) that takes states. */
#define PROCESS_NOTIFY "notify"

/* Sends a state to the socket that was passed for it, else to the one in NOTIFY_SOCKET
 * in the manner of sd_notify(3), for instance "READY=1". Nothing happens when there is
 * none. It is looked for once by process_notify_open, after sock_passed_init, and
 * connected there, so that a front can tell after lock-down, which lets it send to no
 * address. */
void process_notify_open(void);
void process_notify(const char *state);

/* Microseconds within which the supervisor wants to hear "WATCHDOG=1", by WATCHDOG_USEC
 * and WATCHDOG_PID as in sd_watchdog_enabled(3); 0 when it does not wait for it.
 * Removes both variables, so it is asked once. */
uint64_t process_watchdog_us(void);

/* The user id that `text` means: a number, or the name of a user of this machine. 0 and
 * *ret_uid; -EINVAL when it is neither. */
int process_user_id(const char *text, uid_t *ret_uid);

#endif
