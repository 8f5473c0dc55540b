/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * framework.h - asynchronous sockets, as a framework has them that you may be using
 *
 * It sends without copying, reads its error queues, and calls back when the kernel is done
 * with a write's memory. It knows nothing of zcreq; what it lacks is what own-sockets.c
 * shows: whose memory it is while a write is out, and what to do when a peer has vanished.
 */
#ifndef FRAMEWORK_H
#define FRAMEWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FW_SENDS_MOST = 32 }; /* that wait for their notification, of one socket; a power of two */

/* One asynchronous write. The rest of the struct is the framework's, and the data
 * are in use, until done is called. */
struct fw_write {
	const char *data;
	size_t len;
	void (*done)(struct fw_write *write, int status); /* 0, or -errno */
	struct fw_write *next;
	size_t at;      /* sent so far */
	unsigned sends; /* that wait for their notification */
	int status;
};

struct fw_socket {
	int fd;
	enum { FW_OPEN = 1, FW_ENDED, FW_DEAD } state; /* ended: the peer says nothing more */
	void (*readable)(struct fw_socket *socket, const char *bytes, size_t len); /* 0: it ended */
	void (*failed)(struct fw_socket *socket, int error); /* -errno: of no use any more */
	struct fw_write *first, **last;
	uint32_t oldest, id; /* of sends that wait; of the next one */
	struct fw_write *sent[FW_SENDS_MOST]; /* whose send @id was, at @id % FW_SENDS_MOST */
};

/* 0, or -errno. The loop is fw_turn() whenever @epoll, which is its own, is readable. */
int fw_open(struct fw_socket *socket, int epoll, int fd);
void fw_turn(int epoll);

/* done may be called from inside. */
void fw_write(struct fw_socket *socket, struct fw_write *write);

/* Sends no more, and gives back what the kernel does not have; for the rest ask again. */
void fw_abandon(struct fw_socket *socket);

/* What the error queue tells. */
void fw_read_errors(struct fw_socket *socket);

#endif
