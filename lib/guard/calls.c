/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * calls.c - who calls, and on which connection
 *
 * A context is one thread's: that of whoever made the first turn, until the program says
 * that it has handed it over. Before the first turn it is being set up, by whomever. After
 * fork(2) the child has the memory, but its sockets, its epoll and its rings are the
 * parent's as well, so no call of the child's can be right.
 *
 * The memory of a connection that is gone is kept, as it was when it closed: then a call
 * on it finds a closed connection and not what the heap has made of it. The last KEPT are;
 * what goes before that is the allocator's again, and nobody finds who still uses it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "guard/guard.h"

#define KEPT 256

struct zcreq_freed {
	const struct zcreq_conn *conn;
	struct zcreq_conn *memory; /* NULL: the library still needs it */
	bool told;
	TAILQ_ENTRY(zcreq_freed) in_freed;
};

void zcreq_guard_own(struct zcreq_guard *guard)
{
	atomic_store(&guard->thread, gettid());
	atomic_store(&guard->process, getpid());
}

/* In another process or thread than it should be? Reported once for each. */
static bool elsewhere(struct zcreq_guard *guard, const struct zcreq_conn *conn)
{
	struct zcreq_guard_report report = {.conn = (struct zcreq_conn *)conn, .fd = -1};
	int process = getpid(), thread = gettid();
	bool ends = false;

	if (process != atomic_load(&guard->process)) {
		report.crime = ZCREQ_GUARD_PROCESS;
		if (atomic_exchange(&guard->told_process, process) != process)
			ends = zcreq_guard_tell(guard, &report,
						"process %d calls, the context is process %d's",
						process, atomic_load(&guard->process));
	} else if (thread != atomic_load(&guard->thread)) {
		report.crime = ZCREQ_GUARD_THREAD;
		if (atomic_exchange(&guard->told_thread, thread) != thread)
			ends = zcreq_guard_tell(guard, &report,
						"thread %d calls, the context is thread %d's",
						thread, atomic_load(&guard->thread));
	}
	if (ends)
		abort();
	return report.crime != 0;
}

static struct zcreq_freed *find(const struct zcreq_guard *guard, const struct zcreq_conn *conn)
{
	struct zcreq_freed *freed;

	TAILQ_FOREACH(freed, &guard->freed, in_freed) {
		if (freed->conn == conn)
			break;
	}
	return freed;
}

bool zcreq_guard_call(void *of, const struct zcreq_conn *conn, enum zcreq_call_kind kind)
{
	struct zcreq_guard *guard = of;
	struct zcreq_guard_report report = {
		.crime = ZCREQ_GUARD_FREED,
		.conn = (struct zcreq_conn *)conn,
		.fd = -1,
	};
	struct zcreq_freed *freed;

	if (kind == ZCREQ_CALL_TURN && !atomic_load(&guard->process))
		zcreq_guard_own(guard);
	/* what is kept is the context's thread's */
	if (atomic_load(&guard->process) && elsewhere(guard, conn))
		return false;
	freed = find(guard, conn);
	if (!freed || (kind == ZCREQ_CALL_LOOKS && !freed->memory))
		return false;
	if (!freed->told) {
		freed->told = true;
		if (zcreq_guard_tell(guard, &report, "connection %p, %s", (const void *)conn,
				     freed->memory ? "which is gone" : "which has yet to close"))
			abort();
	}
	return true;
}

void zcreq_guard_freed(void *of, const struct zcreq_conn *conn)
{
	struct zcreq_guard *guard = of;
	struct zcreq_freed *freed = zcreq_calloc(guard->allocator, 1, sizeof(*freed));

	if (!freed)
		return;
	freed->conn = conn;
	TAILQ_INSERT_TAIL(&guard->freed, freed, in_freed);
}

static void give_back(struct zcreq_guard *guard, struct zcreq_freed *freed)
{
	TAILQ_REMOVE(&guard->freed, freed, in_freed);
	guard->kept--;
	zcreq_free(guard->allocator, freed->memory);
	zcreq_free(guard->allocator, freed);
}

bool zcreq_guard_keep(void *of, struct zcreq_conn *conn)
{
	struct zcreq_guard *guard = of;
	struct zcreq_freed *freed = find(guard, conn), *oldest;

	if (!freed) /* there was no memory for it */
		return false;
	freed->memory = conn;
	TAILQ_REMOVE(&guard->freed, freed, in_freed);
	TAILQ_INSERT_TAIL(&guard->freed, freed, in_freed);
	if (++guard->kept <= KEPT)
		return true;
	oldest = TAILQ_FIRST(&guard->freed);
	while (!oldest->memory)
		oldest = TAILQ_NEXT(oldest, in_freed);
	give_back(guard, oldest);
	return true;
}

void zcreq_guard_forget(struct zcreq_guard *guard)
{
	/* no connection is left, so all of them are kept */
	while (!TAILQ_EMPTY(&guard->freed))
		give_back(guard, TAILQ_FIRST(&guard->freed));
}
