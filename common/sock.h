/*
 * Sockets at birth: listeners, the ones a supervisor passed, and who is at the other
 * end. Every descriptor made here is close-on-exec and nonblocking.
 *
 * Functions return a descriptor or 0, or a negative errno.
 */
#ifndef COMMON_SOCK_H
#define COMMON_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SOCK_BACKLOG 1024

/* Binds and listens on an IP literal, or for "localhost" on 127.0.0.1 and ::1 with the
 * same port (design.md 9: port 0 included). ret_fds[1] is -1 when there is one family
 * only; *ret_no_ipv6 tells that ::1 was wanted and this host has none. */
int sock_listen_tcp(const char *host, uint16_t port, int ret_fds[static 2],
    uint16_t *ret_port, bool *ret_no_ipv6);

/* Binds and listens on a pathname socket of the given mode; a dead socket of that name
 * is replaced, a live one and a file that is no socket give -EADDRINUSE. */
int sock_listen_unix(const char *path, mode_t mode);

/* Connects to a pathname socket. The descriptor is nonblocking and asks the kernel for
 * each sender's credentials (SO_PASSCRED, set before anybody can write to it), because
 * SO_PEERCRED names only who made the listener. */
int sock_connect_unix(const char *path);

/* Accepts; -EAGAIN when there is nothing. */
int sock_accept(int listener);

/* Who made the other end of a connected Unix socket (SO_PEERCRED). For a connection to
 * a listener this is who called listen(2). */
int sock_peer(int fd, uid_t *ret_uid, gid_t *ret_gid, pid_t *ret_pid);

/* Whether the peer's process is in a group, by its own or supplementary groups
 * (SO_PEERGROUPS). */
bool sock_peer_in_group(int fd, gid_t group);

/* The port a TCP socket is bound to, 0 for others. */
uint16_t sock_local_port(int fd);

/* Descriptors passed in the manner of sd_listen_fds(3): numbered from 3, LISTEN_FDS of
 * them, named by LISTEN_FDNAMES (colons between), for LISTEN_PID only. sock_passed_init
 * reads the environment once, sets close-on-exec and nonblocking, removes the
 * variables and returns their number. sock_passed gives the index-th one with a name,
 * or -1. */
#define SOCK_PASSED_MAX 16
int sock_passed_init(void);
int sock_passed(const char *name, unsigned index);

#endif
