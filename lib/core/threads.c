/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * remote.c - holds dropped by other threads, on their way to the context's
 *
 * A stack onto which any thread pushes and which the owner takes whole: no thread
 * ever pops one entry, so it does not matter that an entry comes again (ABA). The
 * links are the entries of the holds themselves, which is safe because a thread first
 * claims the entry (slot.h) and so is the only one that writes to it.
 *
 * The stack is one word with two halves: the entry pushed last, and how many threads
 * are about to wake the owner. Only a push onto an empty stack wakes. The push is the
 * last that its thread touches of the context, or, if it has to wake, the word's
 * count is: that is what allows a context to be freed.
 */
#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <zcreq/remote.h>

#include "core/core.h"

#define HOLD_SIZE sizeof(struct zcreq_hold_slot)
#define CACHE_LINE 64

#define TOP_MASK ((uint64_t)UINT32_MAX)
#define EMPTY TOP_MASK /* and ZCREQ_SLOT_NONE, in the lower half */
#define ONE_WAKER ((uint64_t)1 << 32)

struct zcreq_remote {
	int fd; /* -1: the program polls */
	char apart[CACHE_LINE];
	_Atomic(uint64_t) stack;
	_Atomic(uint64_t) stale;
	char end[CACHE_LINE];
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock could be held when a signal comes");

int zcreq_remote_open(struct zcreq_context *context, unsigned flags)
{
	struct zcreq_remote *remote;
	int fd = -1, err;

	if (!context || flags & ~ZCREQ_REMOTE_POLLED)
		return -EINVAL;
	if (context->remote)
		return -EALREADY;
	remote = zcreq_calloc(&context->allocator, 1, sizeof(*remote));
	if (!remote)
		return -ENOMEM;
	if (!(flags & ZCREQ_REMOTE_POLLED)) {
		int saved = errno;

		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		err = errno;
		errno = saved;
		if (fd < 0) {
			zcreq_free(&context->allocator, remote);
			return -err;
		}
	}
	remote->fd = fd;
	atomic_init(&remote->stack, EMPTY);
	__atomic_store_n(&context->remote, remote, __ATOMIC_RELEASE);
	return 0;
}

int zcreq_remote_free(struct zcreq_context *context)
{
	struct zcreq_remote *remote = context->remote;

	if (!remote)
		return 0;
	if (atomic_load_explicit(&remote->stack, memory_order_acquire) != EMPTY)
		return -EBUSY;
	if (remote->fd >= 0)
		close(remote->fd);
	zcreq_free(&context->allocator, remote);
	context->remote = NULL;
	return 0;
}

int zcreq_remote_fd(const struct zcreq_context *context)
{
	const struct zcreq_remote *remote;

	if (!context)
		return -EINVAL;
	remote = context->remote;
	return remote && remote->fd >= 0 ? remote->fd : -ENXIO;
}

int zcreq_remote_process(struct zcreq_context *context)
{
	struct zcreq_remote *remote;
	eventfd_t count;
	int saved = errno;

	if (!context)
		return -EINVAL;
	remote = context->remote;
	if (!remote)
		return -ENXIO;
	if (context->dispatch_depth)
		return 0;
	/* before the stack is taken: what is pushed from here on wakes again */
	if (remote->fd >= 0)
		(void)!read(remote->fd, &count, sizeof(count));
	errno = saved;
	return zcreq_dispatch(context);
}

/* A counter that is full is readable as well, and nothing else can go wrong. */
static void wake(struct zcreq_remote *remote, int fd)
{
	const eventfd_t one = 1;
	int saved = errno;

	(void)!write(fd, &one, sizeof(one));
	errno = saved;
	atomic_fetch_sub_explicit(&remote->stack, ONE_WAKER, memory_order_release);
}

static void push(struct zcreq_remote *remote, struct zcreq_hold_slot *slot, uint32_t index)
{
	uint64_t old = atomic_load_explicit(&remote->stack, memory_order_relaxed), new;
	const int fd = remote->fd;
	bool wakes;

	do {
		slot->next = (uint32_t)old;
		wakes = fd >= 0 && (old & TOP_MASK) == EMPTY;
		new = (old & ~TOP_MASK) | index;
		if (wakes)
			new += ONE_WAKER;
	} while (!atomic_compare_exchange_weak_explicit(&remote->stack, &old, new,
							memory_order_release,
							memory_order_relaxed));
	if (wakes)
		wake(remote, fd);
}

int zcreq_drop_remote(struct zcreq_context *context, zcreq_hold hold, int status)
{
	struct zcreq_remote *remote;
	struct zcreq_hold_slot *slot;

	if (!context || status > 0)
		return -EINVAL;
	remote = __atomic_load_n(&context->remote, __ATOMIC_ACQUIRE);
	if (!remote)
		return -ENXIO;
	slot = (struct zcreq_hold_slot *)zcreq_slots_claim(&context->holds, hold.bits, HOLD_SIZE);
	if (!slot) {
		atomic_fetch_add_explicit(&remote->stale, 1, memory_order_relaxed);
		return -ESTALE;
	}
	slot->status = status;
	push(remote, slot, hold.bits & ZCREQ_SLOT_INDEX_MASK);
	return 0;
}

static struct zcreq_hold_slot *slot_at(struct zcreq_context *context, uint32_t index)
{
	return (struct zcreq_hold_slot *)zcreq_slots_at(&context->holds, index, HOLD_SIZE);
}

/* The order of a stack is that of the pushes, backwards. */
static uint32_t reverse(struct zcreq_context *context, uint32_t top)
{
	uint32_t first = ZCREQ_SLOT_NONE;

	while (top != ZCREQ_SLOT_NONE) {
		struct zcreq_hold_slot *slot = slot_at(context, top);
		uint32_t below = slot->next;

		slot->next = first;
		first = top;
		top = below;
	}
	return first;
}

void zcreq_remote_drain(struct zcreq_context *context)
{
	struct zcreq_remote *remote = context->remote;
	uint64_t old = atomic_load_explicit(&remote->stack, memory_order_relaxed);
	uint32_t next;

	if ((old & TOP_MASK) == EMPTY)
		return;
	old = atomic_fetch_or_explicit(&remote->stack, EMPTY, memory_order_acquire);
	for (uint32_t i = reverse(context, (uint32_t)old); i != ZCREQ_SLOT_NONE; i = next) {
		struct zcreq_hold_slot *slot = slot_at(context, i);
		const zcreq_hold hold = {zcreq_slot_claimed(&slot->slot)};

		next = slot->next;
		context->stats.remote_drops++;
		zcreq_hold_gone(context, slot, hold, slot->status);
	}
}

uint64_t zcreq_remote_stale(const struct zcreq_remote *remote)
{
	return atomic_load_explicit(&remote->stale, memory_order_relaxed);
}
