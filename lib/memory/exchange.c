/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/exchange.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/pages.h"
#include "memory/maps.h"
#include "memory/pool.h"

#define WRITABLE (PROT_READ | PROT_WRITE)

/*
 * What is copied and then moved must not change in between, and the frames of the functions
 * here do. Nobody can tell a stack from other memory (only the one that grows by itself says
 * so), but where the running one is at the moment is known: so far from the frame of
 * zcreq_exchange(), up and down, no page is exchanged. Those who are there while pages are
 * moved have a few hundred bytes. The frames of callers do not change and go along.
 */
#define FRAMES_BYTES 2048

/* Whole pages that are moved together: of one mapping, and lent. */
struct piece {
	char *start;
	size_t bytes;
	int access;
	unsigned advice;
};

struct plan {
	struct zcreq_context *context;
	const struct zcreq_allocator *allocator;
	const struct zcreq_pool *pools;
	const struct iovec *lent;
	int lent_count;
	uintptr_t page_bytes;
	uintptr_t frame;    /* of zcreq_exchange() */
	struct iovec *runs; /* of whole pages, none of which touch */
	size_t run_count;
	size_t run;         /* that the walk has come to, */
	uintptr_t reached;  /* and up to where */
	struct piece *pieces;
	size_t piece_count, piece_room;
	size_t bytes;       /* of all pieces */
};

static uintptr_t begin_of(const struct iovec *run) { return (uintptr_t)run->iov_base; }
static uintptr_t end_of(const struct iovec *run) { return begin_of(run) + run->iov_len; }

/* The pages that the bytes lie on. */
static int make_runs(struct plan *plan)
{
	plan->runs = zcreq_calloc(plan->allocator, (size_t)plan->lent_count, sizeof(*plan->runs));
	if (!plan->runs)
		return -ENOMEM;
	for (int i = 0; i < plan->lent_count; i++) {
		const struct zcreq_pages pages = zcreq_pages_of(&plan->lent[i]);
		struct iovec *last = plan->run_count ? &plan->runs[plan->run_count - 1] : NULL;

		if (last && pages.start <= end_of(last))
			last->iov_len = pages.end - begin_of(last);
		else
			plan->runs[plan->run_count++] = (struct iovec){(void *)pages.start,
								       pages.end - pages.start};
	}
	return 0;
}

static int add_piece(struct plan *plan, uintptr_t start, uintptr_t end, int access,
		     unsigned advice)
{
	if (start < plan->frame + FRAMES_BYTES && end > plan->frame - FRAMES_BYTES)
		return -EPERM;
	if (plan->piece_count == plan->piece_room) {
		size_t room = plan->piece_room ? plan->piece_room * 2 : plan->run_count;
		struct piece *more = zcreq_calloc(plan->allocator, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		if (plan->piece_count)
			memcpy(more, plan->pieces, plan->piece_count * sizeof(*more));
		zcreq_free(plan->allocator, plan->pieces);
		plan->pieces = more;
		plan->piece_room = room;
	}
	plan->pieces[plan->piece_count++] = (struct piece){
		.start = (char *)start,
		.bytes = end - start,
		.access = access,
		.advice = advice,
	};
	plan->bytes += end - start;
	return 0;
}

/* Goes on behind what is known: of a pool nobody has to be asked. 1: all is known. */
static int go_on(struct plan *plan)
{
	for (; plan->run < plan->run_count; plan->run++) {
		const struct iovec *run = &plan->runs[plan->run];
		const struct zcreq_pool *pool = zcreq_pool_of(plan->pools, run);
		int ret;

		plan->reached = begin_of(run);
		if (!pool)
			return 0;
		ret = add_piece(plan, begin_of(run), end_of(run), WRITABLE,
				zcreq_pool_advice(pool));
		if (ret)
			return ret;
	}
	return 1;
}

/* Takes what a mapping has of the runs. 1: all is known; -EPERM: it cannot be exchanged. */
static int take_mapping(const struct zcreq_mapping *mapping, void *arg)
{
	struct plan *plan = arg;

	while (mapping->end > plan->reached) {
		const uintptr_t run_end = end_of(&plan->runs[plan->run]);
		const uintptr_t end = mapping->end < run_end ? mapping->end : run_end;
		int ret;

		if (mapping->start > plan->reached || mapping->kind != ZCREQ_MEMORY_PRIVATE)
			return -EPERM;
		ret = add_piece(plan, plan->reached, end, mapping->access, mapping->advice);
		if (ret)
			return ret;
		plan->reached = end;
		if (end < run_end)
			return 0;
		plan->run++;
		ret = go_on(plan);
		if (ret)
			return ret;
	}
	return 0;
}

static int make_pieces(struct plan *plan)
{
	int ret = go_on(plan);

	if (!ret)
		ret = zcreq_maps_walk(take_mapping, plan);
	if (ret == 0)
		return -EPERM; /* behind the last mapping there is nothing */
	return ret < 0 ? ret : 0;
}

/*
 * As memcpy(3), of whole pages: what else is on them may be poisoned for the address sanitizer,
 * which looks at every memcpy(3) of a program.
 */
static __attribute__((no_sanitize_address)) void copy_pages(char *to, const char *from,
							     size_t bytes)
{
	for (size_t i = 0; i < bytes / sizeof(uint64_t); i += 8) {
		uint64_t *into = (uint64_t *)to + i;
		const uint64_t *word = (const uint64_t *)from + i;

		for (int at = 0; at < 8; at++)
			into[at] = word[at];
		/* or the compiler makes a memcpy(3) of it */
		__asm__ volatile("" ::: "memory");
	}
}

/* Copies a page that has something else on it than what was lent. The guard looks whether
 * that is written to before the exchange. */
static void copy_page(const struct plan *plan, const struct piece *piece, char *to, uintptr_t page)
{
	const struct zcreq_context *context = plan->context;
	const uintptr_t offset = page - (uintptr_t)piece->start;

	if (offset >= piece->bytes)
		return; /* of another piece */
	copy_pages(to + offset, piece->start + offset, plan->page_bytes);
	if (context->guard_hooks)
		context->guard_hooks->page_copied(context->guard, piece->start + offset,
						  to + offset, plan->page_bytes);
}

/* The pages on which a range begins or ends that is not the page's. */
static void copy_edges(const struct plan *plan, const struct piece *piece, char *to)
{
	const uintptr_t mask = plan->page_bytes - 1;
	uintptr_t copied = 0; /* the one before; no range begins on page 0 */

	for (int i = 0; i < plan->lent_count; i++) {
		const uintptr_t start = begin_of(&plan->lent[i]), end = end_of(&plan->lent[i]);

		if (start & mask && (start & ~mask) != copied)
			copy_page(plan, piece, to, copied = start & ~mask);
		if (end & mask && (end & ~mask) != copied)
			copy_page(plan, piece, to, copied = end & ~mask);
	}
}

static void give_advice(char *at, const struct piece *piece)
{
	/* a kernel without it has none to give */
	if (piece->advice & ZCREQ_ADVICE_HUGE)
		madvise(at, piece->bytes, MADV_HUGEPAGE);
	if (piece->advice & ZCREQ_ADVICE_NOT_HUGE)
		madvise(at, piece->bytes, MADV_NOHUGEPAGE);
	if (piece->advice & ZCREQ_ADVICE_NO_DUMP)
		madvise(at, piece->bytes, MADV_DONTDUMP);
}

/* The new pages of all pieces, one behind the other, as the old ones are. */
static int fill(const struct plan *plan, char *to, unsigned flags)
{
	for (size_t i = 0; i < plan->piece_count; i++) {
		const struct piece *piece = &plan->pieces[i];

		give_advice(to, piece);
		if (!(flags & ZCREQ_DETACH_DISCARD))
			copy_pages(to, piece->start, piece->bytes);
		if (flags & ZCREQ_DETACH_DISCARD || plan->context->guard_hooks)
			copy_edges(plan, piece, to);
		if (piece->access != WRITABLE && mprotect(to, piece->bytes, piece->access))
			return -errno;
		to += piece->bytes;
	}
	return 0;
}

/*
 * Moves new pages over a piece. The kernel takes the old mapping away before it moves the new
 * one, and may fail in between for want of memory: then the piece is made again, here.
 */
static int move(char *from, const struct piece *piece)
{
	int error;

	if (mremap(from, piece->bytes, piece->bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
		   piece->start) != MAP_FAILED)
		return 0;
	error = -errno;
	if (!msync(piece->start, piece->bytes, MS_ASYNC))
		return error; /* all of it is there */
	/* uncovered: it ends the program; tests/faults/check_detach_faults.c does it in a process
	 * that leaves no counts */
	if (mmap(piece->start, piece->bytes, WRITABLE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		/* uncovered: the same */
		zcreq_bug("a mapping was lost on the way");
	copy_pages(piece->start, from, piece->bytes);
	give_advice(piece->start, piece);
	if (piece->access != WRITABLE)
		mprotect(piece->start, piece->bytes, piece->access);
	munmap(from, piece->bytes);
	return 0;
}

static int carry_out(const struct plan *plan, unsigned flags)
{
	const int populate = flags & ZCREQ_DETACH_DISCARD ? 0 : MAP_POPULATE;
	char *pages = mmap(NULL, plan->bytes, WRITABLE, MAP_PRIVATE | MAP_ANONYMOUS | populate, -1,
			   0);
	char *from = pages;
	int ret;

	if (pages == MAP_FAILED)
		return -errno;
	ret = fill(plan, pages, flags);
	for (size_t i = 0; i < plan->piece_count && !ret; i++) {
		ret = move(from, &plan->pieces[i]);
		if (!ret)
			from += plan->pieces[i].bytes;
	}
	if (ret)
		munmap(from, (size_t)(pages + plan->bytes - from));
	return ret;
}

/* Not inlined, or its frame would be as large as its caller's. */
__attribute__((noinline)) int zcreq_exchange(struct zcreq_context *context,
					     const struct iovec *lent, int count, unsigned flags)
{
	struct plan plan = {
		.context = context,
		.allocator = &context->allocator,
		/* a guard protects pages, and only the kernel knows which */
		.pools = context->guard_hooks ? NULL : context->pools,
		.lent = lent,
		.lent_count = count,
		.page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE),
		.frame = (uintptr_t)__builtin_frame_address(0),
	};
	int saved = errno;
	int ret = make_runs(&plan);

	if (!ret)
		ret = make_pieces(&plan);
	if (!ret)
		ret = carry_out(&plan, flags);
	if (context->guard_hooks)
		context->guard_hooks->pages_exchanged(context->guard, !ret);
	zcreq_free(plan.allocator, plan.pieces);
	zcreq_free(plan.allocator, plan.runs);
	errno = saved;
	return ret;
}

/* For zcreq_memory_kind(). */
struct question {
	uintptr_t reached, end;
	int answer;
};

static int answer(const struct zcreq_mapping *mapping, void *arg)
{
	struct question *question = arg;

	if (mapping->end <= question->reached)
		return 0;
	if (mapping->start > question->reached)
		return question->answer = ZCREQ_MEMORY_UNMAPPED;
	question->reached = mapping->end;
	if (mapping->kind != ZCREQ_MEMORY_PRIVATE || mapping->end >= question->end)
		return question->answer = (int)mapping->kind;
	return 0;
}

int zcreq_memory_kind(const void *start, size_t bytes)
{
	struct question question = {
		.reached = (uintptr_t)start,
		.end = (uintptr_t)start + bytes,
	};
	int ret;

	if (!bytes || question.end < question.reached)
		return -EINVAL;
	ret = zcreq_maps_walk(answer, &question);
	if (ret < 0)
		return ret;
	return question.answer ? question.answer : ZCREQ_MEMORY_UNMAPPED;
}
