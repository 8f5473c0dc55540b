/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * descriptors.c - is it still the socket that the stream was opened on?
 *
 * A descriptor that the program closes is soon another file's, and what the library
 * then sends goes there. fstat(2) at each use tells; nothing is done about it but to
 * report it, once. A descriptor that cannot be looked at is not watched.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "guard/guard.h"

struct socket {
	struct zcreq_guard *guard;
	struct zcreq_conn *conn;
	int fd;
	dev_t device;
	ino_t inode;
	bool told;
};

void *zcreq_guard_open(void *of, struct zcreq_conn *conn, int fd)
{
	struct zcreq_guard *guard = of;
	struct socket *socket = zcreq_calloc(guard->allocator, 1, sizeof(*socket));
	struct stat now;
	int saved = errno;

	if (!socket || fstat(fd, &now)) {
		zcreq_free(guard->allocator, socket);
		errno = saved;
		return NULL;
	}
	*socket = (struct socket){
		.guard = guard,
		.conn = conn,
		.fd = fd,
		.device = now.st_dev,
		.inode = now.st_ino,
	};
	return socket;
}

void zcreq_guard_look(void *watched, uint64_t held_bytes)
{
	struct socket *socket = watched;
	struct zcreq_guard_report report = {
		.crime = ZCREQ_GUARD_DESCRIPTOR,
		.conn = socket->conn,
		.fd = socket->fd,
	};
	struct stat now;
	int saved = errno;
	bool there = fstat(socket->fd, &now) == 0;

	errno = saved;
	if (socket->told ||
	    (there && now.st_dev == socket->device && now.st_ino == socket->inode))
		return;
	socket->told = true;
	if (zcreq_guard_tell(socket->guard, &report,
			     "descriptor %d is %s, with %" PRIu64 " bytes queued or in flight",
			     socket->fd, there ? "another file now" : "not open", held_bytes))
		abort();
}

void zcreq_guard_close(void *watched)
{
	struct socket *socket = watched;

	zcreq_free(socket->guard->allocator, socket);
}
