/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch.h - what is known of a program's sockets, and judged when it is time
 *
 * A socket is an open file description: its descriptors are counted, its MSG_ZEROCOPY
 * sends stand in the library's fifo of ids, under those that the kernel gave them, each
 * with the sums of its memory. Nothing is read from the program's error queues: what
 * the program reads is watched go by, and judged before the program sees it.
 *
 * No report without proof. What can make the knowledge wrong ends the judging of that
 * socket and is not reported:
 *
 *  - a socket that was not made here (inherited through exec, received in a message):
 *    its next id is not known;
 *  - sends of two threads that overlap: which was given which id is not known. The
 *    first notification for any of them judges all, before the program can know that
 *    one is free; afterwards none is judged;
 *  - a child that sends on, or reads the error queue of, a socket from before the
 *    fork: a page that both see says so;
 *  - an id that nobody seems to have been given.
 *
 *	watch.c  descriptors, duplicates, children: which socket is meant
 *	judge.c  sends, notifications, ends: what is a crime
 *
 * One lock, all signals blocked while it is held, and never held over a call that the
 * program makes.
 */
#ifndef ZCREQ_GUARD_WATCH_H
#define ZCREQ_GUARD_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/queue.h"
#include "guard/checksum.h"
#include "stream/ids.h"

/* How far a socket can be judged. */
enum trust {
	TRUST_ALL = 1,
	TRUST_SHARED,    /* another process has it too: its end is not ours to judge */
	TRUST_LOST,      /* which id is whose is not known any more */
	TRUST_INHERITED, /* in a child, from before the fork */
};

/* The sends that overlap in time. */
enum overlap {
	OVERLAP_NONE = 1, /* one at most */
	OVERLAP_MIXED,    /* their ids may be exchanged */
	OVERLAP_JUDGED,   /* and one of them was notified */
};

/* One MSG_ZEROCOPY send that was, or is about to be, accepted. */
struct sent {
	STAILQ_ENTRY(sent) next;
	uint64_t end_bytes;   /* of the stream, at the least: with it, all is acknowledged */
	uint64_t bytes;
	uint32_t number;      /* of this socket's, from 1 */
	uint32_t group;       /* of sends that it was mixed up with; 0: none */
	bool judge;           /* its memory is still to be compared */
	const void *caller;
	struct zcreq_checksum sum; /* last: what it points at is behind it */
};

/* Ids notified before the call that they were given to has returned. */
#define EARLY_MOST 64

struct registration {
	int epoll, fd;
	struct registration *next;
};

struct watched {
	dev_t device;
	ino_t inode;
	uint8_t trust;           /* enum trust */
	uint8_t overlap;         /* enum overlap, of the current group */
	uint32_t descriptors;
	uint32_t calls;          /* sends under way */
	uint32_t group;
	uint32_t slot;           /* in the page that children see */
	uint32_t sends;
	uint32_t unread_sends;   /* since the program last looked at the error queue */
	uint32_t looks;          /* of the program, at the error queue */
	uint32_t said;           /* enum said, what was reported once */
	struct zcreq_ids ids;
	struct sent **sent;      /* a fifo by id, beside that of ids */
	uint32_t sent_mask;
	uint32_t early_count;
	uint32_t early[EARLY_MOST];
	struct registration *registrations;
};

/* Reported once for each socket. */
enum said {
	SAID_UNREAD = 1,
	SAID_POLLS = 2,
};

/* A send of the program's, from before it to after it. */
struct watch_call {
	struct watched *socket; /* NULL: not watched */
	const void *caller;
	uint64_t start_bytes;
	STAILQ_HEAD(, sent) sents;
};

/* All of what follows is called without the lock, and keeps errno. */

void watch_init(void);

void watch_born(int fd);
void watch_duplicated(int from, int to);
void watch_closing(int fd);
void watch_closing_range(unsigned first, unsigned last);

/* Descriptors in a control message go to another process. */
void watch_given(const struct msghdr *message);

/* Around a send: one watch_message() for each message before it, in their order one
 * watch_accepted() for each that was taken, and watch_sent(). */
void watch_send(struct watch_call *call, int fd, int flags, const void *caller);
void watch_message(struct watch_call *call, const struct msghdr *message);
void watch_accepted(struct watch_call *call, uint64_t bytes);
void watch_sent(struct watch_call *call);

/* The program has read the error queue; the message is NULL if there was none. */
void watch_read(int fd, struct msghdr *message);

/* connect(2) to AF_UNSPEC has succeeded. */
void watch_disconnected(int fd);

/* The program ends. */
void watch_exit(void);

/* Locks; false: leave the program alone, and it is not locked. */
bool watch_enter(void);
void watch_leave(void);

/* With the lock: the socket that a descriptor names, and the same without asking the
 * kernel whether it still does; descriptors there may be. */
struct watched *watch_find(int fd);
struct watched *watch_at(int fd);
int watch_descriptors(void);

/* This process sends on it or reads its error queue: if it is the parent's, it is told. */
void watch_used(struct watched *socket);

/* A call or a descriptor of it has ended; the last one frees it. With the lock. */
void watch_put(struct watched *socket);

/* judge.c, with the lock: it is closed, or the program ends. */
void judge_end(struct watched *socket, int fd, bool closing);

/* judge.c, with the lock: nothing of it is judged any more. */
void judge_lost(struct watched *socket);

#endif
