/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * threads.c - what other threads have dropped and posted, on its way to the context's
 *
 * Two stacks onto which any thread pushes and which the owner takes whole: no thread
 * ever pops one entry, so it does not matter that an entry comes again (ABA). The links
 * of drops are the entries of the holds themselves, which is safe because a thread first
 * claims the entry (slot.h) and so is the only one that writes to it; those of posts
 * are in the caller's structs.
 *
 * The word of the drops has two halves: the entry pushed last, and how many threads are
 * about to wake the owner. Only a push onto an empty stack wakes. The push of a drop is
 * the last that its thread touches of the context, or, if it has to wake, the word's
 * count is; a post is counted there from before its push. That is what allows a context
 * to be freed.
 *
 * How the owner is woken is not known here: see stream/poller.c.
 */
#include <errno.h>
#include <stdatomic.h>

#include "core/threads.h"

#define HOLD_SIZE sizeof(struct zcreq_hold_slot)
#define CACHE_LINE 64

#define TOP_MASK ((uint64_t)UINT32_MAX)
#define EMPTY TOP_MASK /* and ZCREQ_SLOT_NONE, in the lower half */
#define ONE_WAKER ((uint64_t)1 << 32)

struct zcreq_threads {
	_Atomic(const struct zcreq_wake_ops *) wake; /* NULL: nobody sleeps */
	int fd;
	char apart[CACHE_LINE];
	_Atomic(uint64_t) drops;
	_Atomic(struct zcreq_call *) posts;
	_Atomic(uint64_t) stale;
	char end[CACHE_LINE];
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock could be held when a signal comes");
_Static_assert(ATOMIC_POINTER_LOCK_FREE == 2, "a lock could be held when a signal comes");

int zcreq_threads_start(struct zcreq_context *context)
{
	struct zcreq_threads *threads = zcreq_calloc(&context->allocator, 1, sizeof(*threads));

	if (!threads)
		return -ENOMEM;
	atomic_init(&threads->drops, EMPTY);
	__atomic_store_n(&context->threads, threads, __ATOMIC_RELEASE);
	return 0;
}

void zcreq_threads_wake_by(struct zcreq_threads *threads, const struct zcreq_wake_ops *wake, int fd)
{
	threads->fd = fd;
	atomic_store_explicit(&threads->wake, wake, memory_order_seq_cst);
	/* whoever pushed before that may have woken nobody */
	if (zcreq_threads_wait(threads))
		wake->wake(fd);
}

int zcreq_threads_free(struct zcreq_context *context)
{
	struct zcreq_threads *threads = context->threads;
	const struct zcreq_wake_ops *wake;

	if (!threads)
		return 0;
	if (atomic_load_explicit(&threads->drops, memory_order_acquire) != EMPTY ||
	    atomic_load_explicit(&threads->posts, memory_order_acquire))
		return -EBUSY;
	wake = atomic_load_explicit(&threads->wake, memory_order_relaxed);
	if (wake)
		wake->close(threads->fd);
	zcreq_free(&context->allocator, threads);
	context->threads = NULL;
	return 0;
}

/* After a push onto an empty stack. Either this sees how to wake the owner, or the owner,
 * who says so now, sees the push: see zcreq_threads_wake_by(). */
static void wake_owner(struct zcreq_threads *threads)
{
	const struct zcreq_wake_ops *wake =
		atomic_load_explicit(&threads->wake, memory_order_seq_cst);

	if (wake)
		wake->wake(threads->fd);
}

static void push_drop(struct zcreq_threads *threads, struct zcreq_hold_slot *slot, uint32_t index)
{
	uint64_t old = atomic_load_explicit(&threads->drops, memory_order_relaxed), new;
	bool first;

	do {
		slot->next = (uint32_t)old;
		first = (old & TOP_MASK) == EMPTY;
		new = (old & ~TOP_MASK) | index;
		if (first)
			new += ONE_WAKER;
	} while (!atomic_compare_exchange_weak_explicit(&threads->drops, &old, new,
							memory_order_seq_cst,
							memory_order_relaxed));
	if (!first)
		return;
	wake_owner(threads);
	atomic_fetch_sub_explicit(&threads->drops, ONE_WAKER, memory_order_release);
}

int zcreq_post_drop(struct zcreq_context *context, zcreq_hold hold, int status)
{
	struct zcreq_threads *threads;
	struct zcreq_hold_slot *slot;

	if (!context || status > 0)
		return -EINVAL;
	threads = __atomic_load_n(&context->threads, __ATOMIC_ACQUIRE);
	if (!threads)
		return -ENXIO;
	slot = (struct zcreq_hold_slot *)zcreq_slots_claim(&context->holds, hold.bits, HOLD_SIZE);
	if (!slot) {
		atomic_fetch_add_explicit(&threads->stale, 1, memory_order_relaxed);
		return -ESTALE;
	}
	slot->status = status;
	push_drop(threads, slot, hold.bits & ZCREQ_SLOT_INDEX_MASK);
	return 0;
}

int zcreq_post(struct zcreq_context *context, struct zcreq_call *call)
{
	struct zcreq_threads *threads;
	struct zcreq_call *first;

	if (!context || !call || !call->run)
		return -EINVAL;
	threads = __atomic_load_n(&context->threads, __ATOMIC_ACQUIRE);
	if (!threads)
		return -ENXIO;
	atomic_fetch_add_explicit(&threads->drops, ONE_WAKER, memory_order_relaxed);
	first = atomic_load_explicit(&threads->posts, memory_order_relaxed);
	do {
		call->next = first;
	} while (!atomic_compare_exchange_weak_explicit(&threads->posts, &first, call,
							memory_order_seq_cst,
							memory_order_relaxed));
	if (!first)
		wake_owner(threads);
	atomic_fetch_sub_explicit(&threads->drops, ONE_WAKER, memory_order_release);
	return 0;
}

static struct zcreq_hold_slot *slot_at(struct zcreq_context *context, uint32_t index)
{
	return (struct zcreq_hold_slot *)zcreq_slots_at(&context->holds, index, HOLD_SIZE);
}

/* The order of a stack is that of the pushes, backwards. */
static uint32_t reverse_drops(struct zcreq_context *context, uint32_t top)
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

static void take_drops(struct zcreq_context *context)
{
	struct zcreq_threads *threads = context->threads;
	uint64_t old = atomic_load_explicit(&threads->drops, memory_order_relaxed);
	uint32_t next;

	if ((old & TOP_MASK) == EMPTY)
		return;
	old = atomic_fetch_or_explicit(&threads->drops, EMPTY, memory_order_acquire);
	for (uint32_t i = reverse_drops(context, (uint32_t)old); i != ZCREQ_SLOT_NONE; i = next) {
		struct zcreq_hold_slot *slot = slot_at(context, i);
		const zcreq_hold hold = {zcreq_slot_claimed(&slot->slot)};

		next = slot->next;
		context->stats.posted_drops++;
		zcreq_hold_gone(context, slot, hold, slot->status);
	}
}

static struct zcreq_call *reverse_posts(struct zcreq_call *top)
{
	struct zcreq_call *first = NULL, *below;

	for (; top; top = below) {
		below = top->next;
		top->next = first;
		first = top;
	}
	return first;
}

static void run_posts(struct zcreq_context *context)
{
	struct zcreq_call *call = NULL, *next;

	if (atomic_load_explicit(&context->threads->posts, memory_order_relaxed))
		call = atomic_exchange_explicit(&context->threads->posts, NULL,
						memory_order_acquire);
	for (call = reverse_posts(call); call; call = next) {
		next = call->next;
		call->run(call);
	}
}

void zcreq_threads_take(struct zcreq_context *context)
{
	take_drops(context);
	run_posts(context);
}

bool zcreq_threads_wait(const struct zcreq_threads *threads)
{
	return (atomic_load_explicit(&threads->drops, memory_order_seq_cst) & TOP_MASK) != EMPTY ||
	       atomic_load_explicit(&threads->posts, memory_order_seq_cst);
}

uint64_t zcreq_threads_stale(const struct zcreq_threads *threads)
{
	return atomic_load_explicit(&threads->stale, memory_order_relaxed);
}
