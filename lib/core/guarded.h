/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guarded.h - what a context and its streams tell a guard, if there is one
 *
 * A guard watches memory in flight and descriptors. It takes a signal handler, a lock
 * and an environment variable, which no program should get that has not asked for them;
 * so it is a library of its own, libzcreq-guard, and all that is left here is a table of
 * functions that is NULL by default. A way without a guard is one comparison long.
 *
 * The table is between these two libraries only, and both have to be of one version.
 * Its functions take plain values: neither library knows a struct of the other's.
 * Nothing here decides what a finding is; a guard that ends the program does so itself.
 *
 * On the way of every request not even the comparison is made for it: such a call is heard
 * where the library asks something anyway (does anybody trace? is the connection open?).
 */
#ifndef ZCREQ_LIB_GUARDED_H
#define ZCREQ_LIB_GUARDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <zcreq/conn.h>
#include <zcreq/context.h>
#include <zcreq/request.h>

/* What a call of the program's is. */
enum zcreq_call_kind {
	ZCREQ_CALL_TURN = 1, /* whoever makes the first has the context */
	ZCREQ_CALL_DOES,     /* needs a connection that the caller has not freed */
	ZCREQ_CALL_LOOKS,    /* or is a sender's: needs one that is still there */
};

/* All are called on the context's thread, but for what call() looks for, and none may call
 * the library. */
struct zcreq_guard_hooks {
	/* Makes the guard of one context, as the caller of zcreq_guard_set() says in
	 * @how: 0 and @guard written, or an error. @allocator lives as long as it. */
	int (*make)(const struct zcreq_allocator *allocator, const void *how, void **guard);

	/* The context goes, with nothing left in flight. */
	void (*free)(void *guard);

	/* A request's send was queued on a descriptor, the @number-th of its connection.
	 * Returns its entry in the guard's own book, or 0: then nobody asks for its end. */
	uint32_t (*send)(void *guard, struct zcreq_conn *conn, zcreq_id id, int fd,
			 const struct iovec *iov, uint32_t iovcnt, uint32_t number);

	/* The end of that send, before its owner can hear of it. */
	void (*send_gone)(void *guard, uint32_t entry);

	/* A stream was opened on a descriptor of the kernel's: what the next two are given,
	 * or NULL, and they are not called. */
	void *(*open)(void *guard, struct zcreq_conn *conn, int fd);

	/* The descriptor is about to be used; so many bytes are queued or in flight. */
	void (*look)(void *watched, uint64_t held_bytes);

	/* The stream is about to close it. */
	void (*close)(void *watched);

	/* The program has called, on a connection's account or on nobody's (NULL). True: the
	 * connection is one that @kind of call must not be given any more. */
	bool (*call)(void *guard, const struct zcreq_conn *conn, enum zcreq_call_kind kind);

	/* The caller's share of a connection has ended. */
	void (*freed)(void *guard, const struct zcreq_conn *conn);

	/* And so has the library's. True: its memory stays as it is, and the guard gives it
	 * back to the allocator, some time later. */
	bool (*keep)(void *guard, struct zcreq_conn *conn);

	/* A page that has something else on it than what was lent was copied, to be exchanged. */
	void (*page_copied)(void *guard, const void *page, const void *copy, size_t page_bytes);

	/* All that were told of since are exchanged, or not. */
	void (*pages_exchanged)(void *guard, bool done);
};

#pragma GCC visibility push(default)

/*
 * Gives the context a guard, from now to its end; @version is the ZCREQ_VERSION that the
 * caller was compiled with, @hooks stays. What it does is what make() does, or
 * -ENOTSUP   the caller is of another version,
 * -EALREADY  the context has a guard,
 * -EBUSY     it has connections, of which the guard would know only a part.
 */
int zcreq_guard_set(struct zcreq_context *context, const char *version,
		    const struct zcreq_guard_hooks *hooks, const void *how);

/* What make() wrote; NULL: there is no guard. */
void *zcreq_guard_of(const struct zcreq_context *context);

#pragma GCC visibility pop

#endif
