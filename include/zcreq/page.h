/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * page.h - statistics of a running program, for others to read
 *
 * A context can be told to keep a page: memory, most often a mapped file, in which it
 * writes what it knows of itself and of its connections, once in an interval. Somebody else
 * reads the same file: zcreq-top(1) shows it in a terminal, and prints it for Prometheus.
 * The program is not asked, and does not notice.
 *
 *	struct zcreq_page_options page = {
 *		.size = sizeof(page), .memory_bytes = zcreq_page_bytes(256), .name = "server",
 *	};
 *	int ret = zcreq_page_map("/run/server/stats", page.memory_bytes, &page.memory);
 *
 *	if (!ret)
 *		ret = zcreq_page_keep(context, &page);
 *
 * The page is written in zcreq_turn(), when the interval has passed and not before. That is
 * a look at each connection, and a question to the kernel about each of the shown ones on
 * which something is outstanding or, with a watchdog, owed by the peer. A context without a
 * page pays nothing. As a page is to be fresh when nothing happens, too, a turn's deadline is
 * never later than the next writing.
 *
 * A program with several contexts gives each its own page, in one file, one behind the other,
 * and begins them in that order: zcreq-top takes the first that nothing was written to for the
 * end of the file.
 *
 * The format is struct zcreq_page, followed by records, in the byte order of the machine; it
 * has a version, and is the same for programs of 32 and of 64 bits. Who reads it makes a
 * copy, in words of 32 bits, each loaded with acquire. The copy is good if the sequence was
 * even before, and is the same after it. A reader believes nothing that it has not checked.
 */
#ifndef ZCREQ_PAGE_H
#define ZCREQ_PAGE_H

#include <stddef.h>
#include <stdint.h>

#include <zcreq/conn.h>
#include <zcreq/context.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define ZCREQ_PAGE_MAGIC "zcpage"
#define ZCREQ_PAGE_BYTE_ORDER 0x01020304u

/** Another one when anything here changes its place or its meaning. */
#define ZCREQ_PAGE_VERSION 1

/** Bytes of a name, with the NUL that ends it. */
#define ZCREQ_PAGE_NAME 56

/** Connections that have ended and are still told of: the last ones. */
#define ZCREQ_PAGE_ENDED 8

/** What a page is. Memory that was never written to has 0. */
enum zcreq_page_state {
	ZCREQ_PAGE_KEPT = 1, /**< it is written to */
	ZCREQ_PAGE_STOPPED,  /**< by zcreq_page_stop(), or the context is gone */
};

/**
 * struct zcreq_page_conn - one connection: 416 bytes
 * @name:      the address of the peer, with its port; empty if it has none that the kernel
 *             knows
 * @number:    counts the context's connections from 0, as in the trace
 * @state:     enum zcreq_conn_state
 * @cause:     enum zcreq_cause
 * @status:    what it was aborted with, or 0
 * @verdict:   enum zcreq_stall, as the watchdog would judge now (after a second of silence,
 *             where there is none); of one that was aborted its last verdict; else 0
 * @unused:    0
 * @quiet_ns:  for how long nothing was heard of the peer, if something is outstanding
 * @ended_ns:  when it closed, in CLOCK_MONOTONIC; 0 if it has not
 * @stats:     what zcreq_conn_stats() says
 */
struct zcreq_page_conn {
	char name[ZCREQ_PAGE_NAME];
	uint32_t number;
	uint32_t state;
	uint32_t cause;
	int32_t status;
	uint32_t verdict;
	uint32_t unused;
	uint64_t quiet_ns;
	uint64_t ended_ns;
	struct zcreq_stats stats;
};

/**
 * struct zcreq_page - at the beginning of the memory: 3776 bytes, and the records follow
 * @magic:        ZCREQ_PAGE_MAGIC
 * @byte_order:   ZCREQ_PAGE_BYTE_ORDER, as the writer writes numbers
 * @version:      ZCREQ_PAGE_VERSION
 * @page_bytes:   of all of it; the next page of the file begins so far behind this one
 * @sequence:     odd while the rest is being written; goes up by two with each writing
 * @state:        enum zcreq_page_state
 * @interval_ms:  between two writings
 * @pid:          the process that writes
 * @conn_count:   connections that are not closed
 * @conns_seen:   records: those of them with the oldest request first, as many as there is
 *                room for; ages come round after 52 days (oldest_age_ns in context.h)
 * @ended_seen:   entries in @ended
 * @ended_count:  connections that have ended otherwise than by a drain or by
 *                zcreq_conn_free(), since the page was begun
 * @started_ns:   when the page was begun, in CLOCK_MONOTONIC
 * @written_ns:   when it was last written. Much older than the interval: the program is
 *                stopped, busy, or gone
 * @name:         of the options
 * @stats:        what zcreq_context_stats() says
 * @ended:        the last of @ended_count, the newest first
 */
struct zcreq_page {
	char magic[8];
	uint32_t byte_order;
	uint32_t version;
	uint32_t page_bytes;
	uint32_t sequence;
	uint32_t state;
	uint32_t interval_ms;
	uint32_t pid;
	uint32_t conn_count;
	uint32_t conns_seen;
	uint32_t ended_seen;
	uint64_t ended_count;
	uint64_t started_ns;
	uint64_t written_ns;
	char name[ZCREQ_PAGE_NAME];
	struct zcreq_stats stats;
	struct zcreq_page_conn ended[ZCREQ_PAGE_ENDED];
};

/** The interval, if the options have none; and the longest there is. */
#define ZCREQ_PAGE_INTERVAL_MS 1000
#define ZCREQ_PAGE_INTERVAL_MOST_MS 3600000

/** The longest page. */
#define ZCREQ_PAGE_BYTES_MOST ((size_t)1 << 30)

/**
 * struct zcreq_page_options - where a context keeps its page, and how often it writes
 * @size:          sizeof(struct zcreq_page_options)
 * @flags:         must be 0
 * @interval_ms:   between two writings, at most ZCREQ_PAGE_INTERVAL_MOST_MS; 0 is
 *                 ZCREQ_PAGE_INTERVAL_MS
 * @memory:        aligned to 8 bytes; borrowed until zcreq_page_stop() or the end of the
 *                 context; overwritten
 * @memory_bytes:  a multiple of 8, at least zcreq_page_bytes(0) and at most
 *                 ZCREQ_PAGE_BYTES_MOST; what is left of it behind the last record is
 *                 not written to
 * @name:          of the program, or of this context in it; copied, cut after
 *                 ZCREQ_PAGE_NAME - 1 bytes; NULL is none
 */
struct zcreq_page_options {
	size_t size;
	uint32_t flags;
	uint32_t interval_ms;
	void *memory;
	size_t memory_bytes;
	const char *name;
};

/**
 * zcreq_page_bytes() - how much memory a page needs
 * @conns:  connections that it is to have room for; there may be more
 *
 * Thread:    any.
 * Since:     0.1
 *
 * Return: bytes, a multiple of 8.
 */
static inline size_t zcreq_page_bytes(uint32_t conns)
{
	return sizeof(struct zcreq_page) + (size_t)conns * sizeof(struct zcreq_page_conn);
}

/**
 * zcreq_page_map() - make a file for pages, and map it
 * @path:    where: on a tmpfs (/run, /dev/shm, $XDG_RUNTIME_DIR), so that nothing is written
 *           to a disk
 * @bytes:   how long: of one page, or of several one behind the other
 * @memory:  written on success
 *
 * The file is readable and writable for its owner and nobody else; chmod(2) gives others the
 * right to read. What is there under that name is replaced, and who has that open keeps what
 * they have. All of its memory is allocated here: a full file system is an error of this
 * call, and no signal later.
 *
 * Ownership: the caller's: munmap(2) after zcreq_page_stop(), and unlink(2).
 * Thread:    any.
 * Errors:    -EINVAL        a NULL, less than zcreq_page_bytes(0), or more than PTRDIFF_MAX;
 *            -ENAMETOOLONG  the path, with a suffix that it has while it is made;
 *            and what mkostemp(3), posix_fallocate(3), mmap(2) and rename(2) give.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_page_map(const char *path, size_t bytes, void **memory);

/**
 * zcreq_page_keep() - from now on the context writes what it knows into a page
 * @context:  without a page
 * @options:  required: they name the memory
 *
 * Writes for the first time at once.
 *
 * Ownership: the memory is the library's to write to; anybody may read it.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL    a NULL, memory that is not aligned or of a wrong size, an interval
 *                       that is too long, an unknown flag, or an options size that no
 *                       version had;
 *            -E2BIG     options of a newer library;
 *            -EALREADY  there is a page;
 *            -ENOMEM.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_page_keep(struct zcreq_context *context, const struct zcreq_page_options *options);

/**
 * zcreq_page_stop() - write once more, that this was the last time
 * @context:  with or without a page
 *
 * zcreq_context_free() does the same.
 *
 * Ownership: the memory is the program's again, as it is.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  context is NULL;
 *            -ENOENT  there is no page.
 * Since:     0.1
 */
int zcreq_page_stop(struct zcreq_context *context);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
