/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * memory.h - memory back at once, whatever the kernel does; and buffers made for it
 *
 * After an abort the kernel lets go of nearly everything at once. What it keeps (packets in a
 * queueing discipline or in a driver's ring) is waited for, and in the end goes to quarantine.
 * There is a way out: the kernel holds *pages*, the program owns *addresses*. zcreq_detach()
 * puts other pages under the same addresses and leaves the old ones to the kernel, which sends
 * from them, or not, and frees them when it has done. The buffers are the program's at once.
 *
 * It costs as much memory again, until the kernel lets go: zcreq_stats.detached_bytes_now, and
 * detached_bytes in the options of the context is the most.
 *
 * Only private anonymous memory can be exchanged so (malloc(3), mmap(2) with MAP_PRIVATE |
 * MAP_ANONYMOUS, transparent huge pages too). Shared memory, files, hugetlbfs, memory that is
 * locked, or that a device or userfaultfd(2) has to do with, is refused before anything is
 * changed: zcreq_memory_kind() tells which it is, also before there is any accident.
 *
 * A page is exchanged as a whole. What else is on it is copied along and stays right, unless
 * something writes to it in that moment: another thread, or a device or a ring that reads
 * data into it, loses what it writes. In memory from zcreq_pool_new() no page is shared.
 *
 * A stack is written to all the time, and that of a thread or of a coroutine looks like any
 * other memory. The pages on which the call itself runs are refused. Those that another thread
 * runs on cannot be known here: a program lends no memory of a stack that another thread may
 * run on when it is detached.
 */
#ifndef ZCREQ_MEMORY_H
#define ZCREQ_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <zcreq/conn.h>
#include <zcreq/context.h>
#include <zcreq/request.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** What memory is, as far as it matters here. */
enum zcreq_memory {
	ZCREQ_MEMORY_PRIVATE = 1, /**< private and anonymous: can be exchanged */
	ZCREQ_MEMORY_UNMAPPED,    /**< there is none, of a part at least */
	ZCREQ_MEMORY_SHARED,      /**< with other mappings, or other processes */
	ZCREQ_MEMORY_FILE,        /**< of a file, also as a private copy */
	ZCREQ_MEMORY_HUGE,        /**< hugetlbfs, MAP_HUGETLB */
	ZCREQ_MEMORY_LOCKED,      /**< mlock(2): perhaps for a device */
	ZCREQ_MEMORY_SPECIAL,     /**< a device's, kept from children (MADV_DONTFORK, as for
	                               RDMA), userfaultfd, same-page merging, protection keys,
	                               a stack that grows by itself (the first thread's, not
	                               those of others), or what this library does not know */
};

/**
 * zcreq_memory_kind() - what is this memory?
 * @start:  the first byte
 * @bytes:  1 or more
 *
 * Reads /proc/self/smaps, for which the kernel goes through all pages that the process has
 * below: milliseconds for each GiB. What a ring or a device has been given by registering it
 * cannot be seen there.
 *
 * Ownership: none.
 * Callback:  none.
 * Thread:    any.
 * Errors:    -EINVAL  bytes is 0, or the range goes around;
 *            and what open(2) and read(2) give for /proc/self/smaps.
 * Source:    Documentation/filesystems/proc.rst
 * Since:     0.1
 *
 * Return: one of enum zcreq_memory: of the first page that is not ZCREQ_MEMORY_PRIVATE, if
 * there is one; or an error.
 */
ZCREQ_MUST_CHECK
int zcreq_memory_kind(const void *start, size_t bytes);

/** For zcreq_detach(): what the buffers hold need not be kept. Pages of which a request lent
 *  every byte read as zeros afterwards, which costs microseconds; others are copied. (With a
 *  guard all of it is kept.) */
#define ZCREQ_DETACH_DISCARD 1u

/**
 * struct zcreq_memory_ops - who exchanges pages, for streams
 * @exchange:  puts other pages under the addresses of @lent, which is sorted, and of which no
 *             two ranges touch; all or nothing, but for what ZCREQ_DETACH_DISCARD in @flags
 *             discards. @flags are those of zcreq_detach(). 0, -EPERM for memory of which
 *             that cannot be done, or another negative errno.
 * @reserved:  must be NULL
 *
 * NULL in the options of a stream is the library's own: mmap(2), mremap(2) and
 * /proc/self/smaps. A simulator, or a program that knows better what its memory is, puts its
 * own here.
 */
struct zcreq_memory_ops {
	int (*exchange)(const struct iovec *lent, int count, unsigned flags, void *arg);
	void (*reserved[3])(void);
};

/**
 * zcreq_detach() - the buffers of a request are the program's at once
 * @context:  the request's context
 * @id:       a request that was aborted, with its connection; also one in quarantine
 * @flags:    ZCREQ_DETACH_DISCARD or 0
 *
 * Every page that the request's sends still lend is exchanged, and the sends are proven by
 * that (proof "detached"). What was on the page of other requests stays right and stays lent.
 * The connection goes on looking for the kernel's word, for which the pages that it has are
 * counted, and closes with it.
 *
 * On a stream that was opened with ZCREQ_STREAM_DETACH or detach_ms. For many requests of a
 * connection zcreq_conn_detach() does the same in one go, and each page once.
 *
 * Ownership: as ever with released, which becomes due when the owner has finished and no hold
 *            of the caller's is left.
 * Callback:  released may become due.
 * Thread:    the context's; no other may write to the pages during the call (see above).
 * Errors:    all leave everything as it was, but for what ZCREQ_DETACH_DISCARD discards,
 *            of which a part may read as zeros already after -ENOMEM. (The pages that the
 *            kernel keeps of that part are counted when a call succeeds.)
 *            -EINVAL      context is NULL, or an unknown flag;
 *            -ESTALE      released, forged, or of another context;
 *            -EBUSY       the connection was not aborted; or a sender has a submission under
 *                         way, whose addresses the kernel may still have to look up: after
 *                         the abort that takes no longer than the kernel needs to end it;
 *            -EOPNOTSUPP  not that kind of stream, or the memory is registered with its
 *                         ring;
 *            -EPERM       memory that cannot be exchanged: zcreq_memory_kind() of it; or
 *                         pages of the stack that the call runs on, of whatever kind;
 *            -EDQUOT      detached_bytes of the context would be exceeded;
 *            -ENOMEM      for the new pages, or mappings of them (vm.max_map_count);
 *            and what open(2) and read(2) give for /proc/self/smaps, which memory of a
 *            pool does without.
 * Source:    mremap(2); doc/detach.md
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_detach(struct zcreq_context *context, zcreq_id id, unsigned flags);

/**
 * zcreq_conn_detach() - the same for all requests of a connection
 * @conn:   aborted
 * @flags:  ZCREQ_DETACH_DISCARD or 0
 *
 * Nothing that is lent is nothing to do, which is 0.
 *
 * Ownership: as zcreq_detach().
 * Callback:  released of each request may become due.
 * Thread:    the context's, as there.
 * Errors:    -EINVAL  conn is NULL, or an unknown flag; and as zcreq_detach(), but for -ESTALE:
 *                     all leave everything as it was, but for what ZCREQ_DETACH_DISCARD
 *                     discards.
 * Source:    as there.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_conn_detach(struct zcreq_conn *conn, unsigned flags);

/** Buffers of one size, none of which shares a page with anything: can be detached. */
struct zcreq_pool;

/** For struct zcreq_pool_options: large enough pages, where the kernel has them (transparent
 *  huge pages, by madvise(2)). Detaching a part splits them. */
#define ZCREQ_POOL_HUGE 1u

/** For struct zcreq_pool_options: all memory is there before the first use. */
#define ZCREQ_POOL_POPULATE 2u

/**
 * struct zcreq_pool_options - how a pool is set up
 * @size:          sizeof(struct zcreq_pool_options)
 * @flags:         of ZCREQ_POOL_HUGE and ZCREQ_POOL_POPULATE, or 0
 * @count:         buffers; 1 or more
 * @buffer_bytes:  of each; rounded up to whole pages, of which the pool gives away none twice
 */
struct zcreq_pool_options {
	size_t size;
	uint32_t flags;
	uint32_t count;
	size_t buffer_bytes;
};

/**
 * zcreq_pool_new() - make a pool of buffers
 * @context:  the pool belongs to it; streams of it know the memory, and detach it without
 *            asking what it is
 * @options:  required
 * @pool:     written on success
 *
 * The program leaves the mappings as they are: no mlock(2), madvise(2), mprotect(2) or
 * registering with a device on them.
 *
 * Ownership: the caller's, until zcreq_pool_free(), which comes before zcreq_context_free().
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  a NULL, a count or size of 0, an unknown flag, or an options size that
 *                     no version had;
 *            -E2BIG   options of a newer library;
 *            -ENOMEM.
 * Source:    mmap(2), madvise(2)
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_pool_new(struct zcreq_context *context, const struct zcreq_pool_options *options,
		   struct zcreq_pool **pool);

/**
 * zcreq_pool_free() - give the memory back
 * @pool:  may be NULL, which is 0
 *
 * Ownership: on 0 the pool and its memory are gone.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EBUSY  a buffer was not put back.
 * Source:    none.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_pool_free(struct zcreq_pool *pool);

/**
 * zcreq_pool_get() - take a buffer
 * @pool:  with a buffer left
 *
 * The one that was put back last. It holds what it held, and zeros the first time; after
 * ZCREQ_DETACH_DISCARD zeros.
 *
 * Ownership: the caller's, until zcreq_pool_put().
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    NULL, for a pool that is NULL, and when all are in use.
 * Source:    none.
 * Since:     0.1
 *
 * Return: the buffer.
 */
void *zcreq_pool_get(struct zcreq_pool *pool);

/**
 * zcreq_pool_put() - put a buffer back
 * @pool:    the pool that it came from
 * @buffer:  as it was given, and released by every request that lent it
 *
 * Ownership: the pool's.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL    a NULL, or not a buffer of this pool;
 *            -EALREADY  it was put back before.
 * Source:    none.
 * Since:     0.1
 */
int zcreq_pool_put(struct zcreq_pool *pool, void *buffer);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
