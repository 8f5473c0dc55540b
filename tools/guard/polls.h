/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * polls.h - one socket that is waited for through two descriptors
 *
 * Each notification wakes both; whoever does not read the error queue spins; and an
 * epoll registration outlives the close of its descriptor as long as a duplicate is
 * open, and then names a number that is somebody else's.
 */
#ifndef ZCREQ_GUARD_POLLS_H
#define ZCREQ_GUARD_POLLS_H

#include <poll.h>

#include "watch.h"

/* epoll_ctl(2) has succeeded. Without the lock. */
void polls_changed(int epoll, int operation, int fd);

/* poll(2) has looked at these. Without the lock. */
void polls_polled(const struct pollfd *fds, nfds_t count);

/* With the lock: a descriptor goes, which may be an epoll set; a socket goes; a socket
 * has sent without copying. */
void polls_closing(int fd);
void polls_forget(struct watched *socket);
void polls_judge(struct watched *socket);

#endif
