/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guard.c - the caller's own crimes: found, put into words, reported
 */
#include "guard/guard.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if __has_include(<execinfo.h>)
#include <execinfo.h>
#define FRAMES 32
#endif

#include "guard/checksum.h"
#include "stream/stream.h"
#include "guard/pages.h"
#include "base/options.h"

#define FLAGS (ZCREQ_GUARD_PROTECT | ZCREQ_GUARD_CONTINUE)

struct zcreq_guard {
	const struct zcreq_allocator *allocator;
	struct zcreq_guard_options options;
	atomic_uint crimes; /* a signal handler of another thread may count too */
	struct zcreq_slots sends;
};

/* A send keeps a number of 32 bits, for which it has room, and not a pointer. */
struct guarded_slot {
	struct zcreq_slot slot; /* first: see slot.h */
	struct zcreq_guarded *guarded;
};

struct zcreq_guarded {
	struct zcreq_guard_area area; /* first */
	struct zcreq_guard *guard;
	struct zcreq_conn *conn;
	zcreq_id id;
	uint32_t number;
	int fd;
	struct zcreq_checksum sum; /* last: what it points at is behind it */
};

struct zcreq_guarded_socket {
	dev_t device;
	ino_t inode;
	bool told;
};

/* ---- reports ---- */

static const char *const crime_names[] = {
	[ZCREQ_GUARD_CHANGED] = "memory in flight was changed",
	[ZCREQ_GUARD_WRITTEN] = "memory in flight is written to",
	[ZCREQ_GUARD_UNMAPPED] = "memory in flight was unmapped",
	[ZCREQ_GUARD_DESCRIPTOR] = "the descriptor was closed behind the library's back",
	[ZCREQ_GUARD_BLIND] = "no memory to watch this send",
};

/* The line on stderr in one write, and for an instruction how it was reached. */
static void print(const struct zcreq_guard_report *report)
{
	dprintf(STDERR_FILENO, "%s\n", report->text);
#ifdef FRAMES
	if (report->crime == ZCREQ_GUARD_WRITTEN) {
		void *frames[FRAMES];

		backtrace_symbols_fd(frames, backtrace(frames, FRAMES), STDERR_FILENO);
	}
#endif
}

/* Async-signal-safe, as far as snprintf(3) of numbers and dprintf(3) are. Returns
 * whether the program is to end now. */
static bool tell(struct zcreq_guard *guard, struct zcreq_guard_report *report, const char *format,
		 ...)
{
	char text[512];
	int head = snprintf(text, sizeof(text), "zcreq guard: %s: ", crime_names[report->crime]);
	va_list args;

	va_start(args, format);
	vsnprintf(text + head, sizeof(text) - (size_t)head, format, args);
	va_end(args);
	report->text = text;
	if (report->crime != ZCREQ_GUARD_BLIND)
		atomic_fetch_add(&guard->crimes, 1);
	if (guard->options.report)
		guard->options.report(report, guard->options.arg);
	else
		print(report);
	return report->crime != ZCREQ_GUARD_BLIND &&
	       !(guard->options.flags & ZCREQ_GUARD_CONTINUE);
}

static bool tell_of_send(const struct zcreq_guarded *guarded, enum zcreq_guard_crime crime,
			 const struct zcreq_checksum_difference *where)
{
	struct zcreq_guard_report report = {
		.crime = crime,
		.conn = guarded->conn,
		.fd = guarded->fd,
		.id = guarded->id,
		.send = guarded->number,
		.send_bytes = guarded->sum.total_bytes,
		.offset_bytes = where->offset_bytes,
		.len_bytes = where->len_bytes,
		.address = where->address,
	};
	char run[64] = "";

	if (report.len_bytes)
		snprintf(run, sizeof(run), ", %" PRIu64 " bytes in a run", report.len_bytes);
	return tell(guarded->guard, &report,
		    "request %016" PRIx64 ", send %" PRIu32 " on descriptor %d: byte %" PRIu64
		    " of %" PRIu64 ", at %p%s",
		    report.id.bits, report.send, report.fd, report.offset_bytes,
		    report.send_bytes, report.address, run);
}

int zcreq_guard_reports(const struct zcreq_context *context)
{
	unsigned crimes;

	if (!context)
		return -EINVAL;
	if (!context->guard)
		return -ENOENT;
	crimes = atomic_load(&context->guard->crimes);
	/* uncovered: 2^31 reports take the better part of an hour */
	return crimes > INT_MAX ? INT_MAX : (int)crimes;
}

/* ---- memory ---- */

/* In the handler of SIGSEGV, in whichever thread. */
static bool written(struct zcreq_guard_area *area, const char *address, uint64_t offset_bytes)
{
	const struct zcreq_checksum_difference where = {
		.address = address, .offset_bytes = offset_bytes,
	};

	return tell_of_send((struct zcreq_guarded *)area, ZCREQ_GUARD_WRITTEN, &where);
}

/* Puts a send into the table: its number there, or 0. */
static uint32_t enter(struct zcreq_guard *guard, struct zcreq_guarded *guarded)
{
	struct zcreq_slot *slot;

	if (!guarded || (zcreq_slots_full(&guard->sends) &&
			 zcreq_slots_grow(&guard->sends, sizeof(struct guarded_slot))))
		return 0;
	slot = zcreq_slots_take(&guard->sends, sizeof(struct guarded_slot));
	((struct guarded_slot *)slot)->guarded = guarded;
	return (slot->bits & ZCREQ_SLOT_INDEX_MASK) + 1;
}

static void blind(struct zcreq_stream *stream, const struct zcreq_request *request,
		  uint32_t number)
{
	struct zcreq_guard_report report = {
		.crime = ZCREQ_GUARD_BLIND,
		.conn = &stream->conn,
		.fd = stream->fd,
		.id.bits = request->slot.bits,
		.send = number,
	};

	tell(stream->conn.context->guard, &report,
	     "request %016" PRIx64 ", send %" PRIu32 " on descriptor %d", report.id.bits, number,
	     stream->fd);
}

void zcreq_guard_send(struct zcreq_stream *stream, struct zcreq_request *request,
		      const struct iovec *iov, uint32_t iovcnt, uint32_t number)
{
	struct zcreq_guard *guard = stream->conn.context->guard;
	size_t size = offsetof(struct zcreq_guarded, sum) + zcreq_checksum_size(iov, iovcnt);
	struct zcreq_guarded *guarded = zcreq_calloc(guard->allocator, 1, size);
	uint32_t entry = enter(guard, guarded);

	if (!entry) {
		zcreq_free(guard->allocator, guarded);
		blind(stream, request, number);
		return;
	}
	guarded->guard = guard;
	guarded->conn = &stream->conn;
	guarded->id.bits = request->slot.bits;
	guarded->number = number;
	guarded->fd = stream->fd;
	guarded->area.written = written;
	zcreq_checksum_take(&guarded->sum, iov, iovcnt);
	guarded->area.iov = guarded->sum.iov;
	guarded->area.iovcnt = iovcnt;
	zcreq_sendq_at(&stream->queue, number)->guarded = entry;
	if (guard->options.flags & ZCREQ_GUARD_PROTECT)
		zcreq_guard_pages_take(&guarded->area);
}

void zcreq_guard_send_gone(struct zcreq_request *request, uint32_t entry)
{
	struct zcreq_guard *guard = request->conn->context->guard;
	struct zcreq_slot *slot =
		zcreq_slots_at(&guard->sends, entry - 1, sizeof(struct guarded_slot));
	struct zcreq_guarded *guarded = ((struct guarded_slot *)slot)->guarded;
	struct zcreq_checksum_difference where;
	enum zcreq_checksum_verdict verdict = zcreq_checksum_compare(&guarded->sum, &where);

	if (guard->options.flags & ZCREQ_GUARD_PROTECT)
		zcreq_guard_pages_give(&guarded->area, verdict != ZCREQ_CHECKSUM_SAME);
	if (verdict != ZCREQ_CHECKSUM_SAME &&
	    tell_of_send(guarded, verdict == ZCREQ_CHECKSUM_CHANGED ? ZCREQ_GUARD_CHANGED
								    : ZCREQ_GUARD_UNMAPPED, &where))
		abort();
	zcreq_slots_give(&guard->sends, slot);
	zcreq_free(guard->allocator, guarded);
}

/* ---- descriptors ---- */

void zcreq_guard_open(struct zcreq_stream *stream)
{
	const struct zcreq_allocator *allocator = &stream->conn.context->allocator;
	struct stat now;
	int saved = errno;

	stream->guarded = zcreq_calloc(allocator, 1, sizeof(*stream->guarded));
	if (stream->guarded && fstat(stream->fd, &now) == 0) {
		stream->guarded->device = now.st_dev;
		stream->guarded->inode = now.st_ino;
	} else {
		zcreq_guard_close(stream);
	}
	errno = saved;
}

void zcreq_guard_look(struct zcreq_stream *stream)
{
	struct zcreq_guarded_socket *socket = stream->guarded;
	struct zcreq_guard_report report = {
		.crime = ZCREQ_GUARD_DESCRIPTOR,
		.conn = &stream->conn,
		.fd = stream->fd,
	};
	struct stat now;
	int saved = errno;
	bool there = fstat(stream->fd, &now) == 0;

	errno = saved;
	if (socket->told ||
	    (there && now.st_dev == socket->device && now.st_ino == socket->inode))
		return;
	socket->told = true;
	if (tell(stream->conn.context->guard, &report,
		 "descriptor %d is %s, with %" PRIu64 " bytes queued or in flight", stream->fd,
		 there ? "another file now" : "not open", stream->queue.held_bytes))
		abort();
}

void zcreq_guard_close(struct zcreq_stream *stream)
{
	zcreq_free(&stream->conn.context->allocator, stream->guarded);
	stream->guarded = NULL;
}

/* ---- a context's guard ---- */

/* The words of ZCREQ_GUARD: true if they ask for a guard. */
static bool ask_environment(struct zcreq_guard_options *options)
{
	static const struct {
		const char *name;
		unsigned flags;
	} words[] = {
		{"checksum", 0},
		{"protect", ZCREQ_GUARD_PROTECT},
		{"continue", ZCREQ_GUARD_CONTINUE},
	};
	const char *word = secure_getenv("ZCREQ_GUARD");
	bool asked = word && *word;

	while (word && *word) {
		size_t len = strcspn(word, ","), i = 0;

		while (i < 3 && (strlen(words[i].name) != len || strncmp(words[i].name, word, len)))
			i++;
		if (i == 3) {
			dprintf(STDERR_FILENO, "zcreq guard: ZCREQ_GUARD: what is \"%.*s\"?\n",
				(int)len, word);
			return false;
		}
		options->flags |= words[i].flags;
		word += len + (word[len] == ',');
	}
	return asked;
}

/* The first backtrace of a process loads a library, which no handler may. */
static void prepare_backtrace(void)
{
#ifdef FRAMES
	void *frame;

	backtrace(&frame, 1);
#endif
}

int zcreq_guard_new(const struct zcreq_allocator *allocator,
		    const struct zcreq_guard_options *options, struct zcreq_guard **out)
{
	struct zcreq_guard_options o = {.size = sizeof(o)};
	struct zcreq_guard *guard;
	int ret = 0;

	*out = NULL;
	if (options)
		ret = zcreq_options_copy(&o, options, sizeof(o));
	else if (!ask_environment(&o))
		return 0;
	if (!ret && o.flags & ~FLAGS)
		ret = -EINVAL;
	if (!ret)
		ret = zcreq_checksum_possible();
	if (ret)
		return ret;
	guard = zcreq_calloc(allocator, 1, sizeof(*guard));
	if (!guard)
		return -ENOMEM;
	guard->allocator = allocator;
	guard->options = o;
	zcreq_slots_init(&guard->sends, allocator, ZCREQ_SLOT_HOLD, ZCREQ_MAX_REQUESTS, 0);
	if (o.flags & ZCREQ_GUARD_PROTECT) {
		prepare_backtrace();
		ret = zcreq_guard_pages_start();
	}
	if (ret) {
		zcreq_free(allocator, guard);
		return ret;
	}
	*out = guard;
	return 0;
}

void zcreq_guard_free(struct zcreq_guard *guard)
{
	if (!guard)
		return;
	if (guard->options.flags & ZCREQ_GUARD_PROTECT)
		zcreq_guard_pages_stop();
	zcreq_slots_deinit(&guard->sends);
	zcreq_free(guard->allocator, guard);
}
