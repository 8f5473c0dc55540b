/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * guard.h - a debug mode that catches the caller's own crimes
 *
 * The library promises when memory may be touched again; nothing keeps a program from
 * touching it before. What the peer then receives is neither the old content nor the
 * new, and no test that compares what was meant to be sent will say where it came
 * from. A guarded context looks for it:
 *
 *  - memory that is written to in flight: every send's memory is summed up block by
 *    block when it is queued, and compared when the last proof for it is here. With
 *    ZCREQ_GUARD_PROTECT the whole pages among it are write-protected in between, so
 *    that the culprit stops at its very instruction;
 *  - memory that is freed in flight: it is no longer mapped at that comparison. What
 *    the heap keeps mapped, it writes to, which is the first case;
 *    (Where the memory of a program's own sends is, zcreq_offer(), it does not know.)
 *  - a descriptor that was closed, or replaced by another, behind the library's back;
 *  - calls from a thread that does not have the context, and in a forked child, where
 *    sockets, epoll and rings are the parent's too. The thread that makes the first turn
 *    has it, until zcreq_guard_adopt(); what is called before that sets it up and may come
 *    from anywhere. zcreq_post_drop() and zcreq_post() may always;
 *  - use of a connection after zcreq_conn_free(): the last 256 are kept for that.
 *
 * It is a library of its own, libzcreq-guard: a program that does not link it cannot be
 * guarded, and has none of what a guard takes (a signal handler, a lock, an environment
 * variable). One that links it and calls
 *
 *	zcreq_guard_attach(context, NULL);
 *
 * after zcreq_context_new() is guarded in those runs that ask for it:
 *
 *	ZCREQ_GUARD=checksum program...
 *	ZCREQ_GUARD=protect,continue program...
 *
 * The words are checksum, protect (both) and continue; a word that is none of them is
 * reported, and the context is then not guarded. The variable is never read by a
 * set-user-id program.
 *
 * What a guard cannot see: memory behind a hold of the caller's (the library does not
 * know it), and memory that is the same again at the end, unless it is protected.
 */
#ifndef ZCREQ_GUARD_H
#define ZCREQ_GUARD_H

#include <zcreq/context.h>
#include <zcreq/request.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** What was found. */
enum zcreq_guard_crime {
	ZCREQ_GUARD_CHANGED = 1, /**< a send's memory is not as it was when it was queued */
	ZCREQ_GUARD_WRITTEN,     /**< an instruction is about to write to it */
	ZCREQ_GUARD_UNMAPPED,    /**< a send's memory cannot be read any more: freed */
	ZCREQ_GUARD_DESCRIPTOR,  /**< the descriptor is closed, or another file's */
	ZCREQ_GUARD_THREAD,      /**< a call from a thread that does not have the context; once
				      for each in a row */
	ZCREQ_GUARD_PROCESS,     /**< a call in a child of the process that has it; once for
				      each child */
	ZCREQ_GUARD_FREED,       /**< a connection is used after zcreq_conn_free(); once for
				      each connection */
	ZCREQ_GUARD_LOST,        /**< something was written to a page while zcreq_detach()
				      exchanged it, and is lost; the page has more on it than
				      the send. Of 16 such pages in a call */
	ZCREQ_GUARD_BLIND,       /**< no crime: no memory to watch this send; never ends
				      the program */
};

/** Bits for zcreq_guard_options.flags. */
#define ZCREQ_GUARD_PROTECT 1u  /**< write-protect whole pages as well */
#define ZCREQ_GUARD_CONTINUE 2u /**< report and go on; else abort(3) after a report */

/**
 * struct zcreq_guard_report - one finding
 * @crime:         enum zcreq_guard_crime
 * @conn:          on which; NULL for a call on no connection's account. For
 *                 ZCREQ_GUARD_FREED it is only good for comparing
 * @fd:            its descriptor; -1 for ZCREQ_GUARD_THREAD, _PROCESS, _FREED and _LOST
 * @id:            the request; all zero for those and ZCREQ_GUARD_DESCRIPTOR, and so is
 *                 the rest but @text, and @address for ZCREQ_GUARD_LOST
 * @send:          which of the connection's sends and writes, counted from 0 in the
 *                 order of the calls and around at 2^32
 * @send_bytes:    the length of that send
 * @offset_bytes:  where in that send it begins: exact for ZCREQ_GUARD_WRITTEN, else
 *                 that of a block of 256 bytes
 * @len_bytes:     how much of it in one run; 0 for ZCREQ_GUARD_WRITTEN
 * @address:       the memory at that offset
 * @text:          all of that in a line, without a line's end
 *
 * Good during the call.
 */
struct zcreq_guard_report {
	enum zcreq_guard_crime crime;
	struct zcreq_conn *conn;
	int fd;
	zcreq_id id;
	uint32_t send;
	uint64_t send_bytes;
	uint64_t offset_bytes;
	uint64_t len_bytes;
	const void *address;
	const char *text;
};

/**
 * struct zcreq_guard_options - how a context is guarded
 * @size:    sizeof(struct zcreq_guard_options)
 * @flags:   ZCREQ_GUARD_PROTECT, ZCREQ_GUARD_CONTINUE
 * @report:  hears each finding; NULL is a line on stderr, for what is being done at
 *           that moment with a backtrace. Unlike every other callback it is called where the
 *           finding is made, inside the library or, for ZCREQ_GUARD_WRITTEN, inside
 *           a signal handler of whichever thread writes: it must not call the
 *           library, and there only what signal-safety(7) allows.
 * @arg:     handed to it
 *
 * A page is protected from the first send that has it wholly to the end of the last,
 * whoever's they are; what a send has only in part is compared, not protected, and so
 * is memory that was not writable before. System calls that write to a protected page
 * fail with EFAULT. The handler of SIGSEGV that was there before is called for every
 * other fault. After fork(2) the child's copy is not protected.
 */
struct zcreq_guard_options {
	size_t size;
	uint32_t flags;
	void (*report)(const struct zcreq_guard_report *report, void *arg);
	void *arg;
};

/**
 * zcreq_guard_attach() - guard a context, from now to its end
 * @context:  that has no connections yet
 * @options:  copied; NULL: what ZCREQ_GUARD in the environment asks for, which may be
 *            nothing, and is then nothing
 *
 * On an error the context is as it was, without a guard. libzcreq and libzcreq-guard
 * have to be of the same version.
 *
 * Ownership: zcreq_context_free() frees the guard as well. Its memory comes from the
 *            context's allocator, but for a mapping of 17 pages.
 * Callback:  @options->report, where a finding is made; never from inside this call.
 * Thread:    the context's.
 * Errors:    -EINVAL    @context is NULL, or a member is out of range;
 *            -E2BIG     options of a newer library that this one cannot honour;
 *            -ENOTSUP   libzcreq is of another version;
 *            -EALREADY  it is guarded;
 *            -EBUSY     it has connections;
 *            -ENOMEM; and why this process cannot have a guard: what
 *            process_vm_readv(2) of itself, reading /proc/self/maps, or sigaction(2)
 *            gave.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_guard_attach(struct zcreq_context *context,
		       const struct zcreq_guard_options *options);

/**
 * zcreq_guard_adopt() - the calling thread has the context from now on
 * @context:  guarded or not; may be NULL, which is neither
 *
 * For a program that hands a context from one thread to another after its first turn, or
 * makes it before a fork(2) of which only the child goes on, as daemon(3) does. What a
 * guard then finds are calls from any other thread and process. Nothing but the guard is
 * told: how the memory is handed over, in which no two threads may be at once, is the
 * program's business.
 *
 * Thread:    that which is to have the context.
 * Since:     0.1
 */
void zcreq_guard_adopt(struct zcreq_context *context);

/**
 * zcreq_guard_reports() - how many crimes a context's guard has found
 * @context:  the context
 *
 * Thread:    the context's.
 * Errors:    -EINVAL  @context is NULL;
 *            -ENOENT  it is not guarded.
 * Since:     0.1
 *
 * Return: the number, at most INT_MAX; or an error.
 */
int zcreq_guard_reports(const struct zcreq_context *context);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
