/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.c - what was found, in words: counted, and told to whom it concerns
 *
 * A finding about memory is made in a signal handler as well, so nothing here allocates,
 * locks or keeps anything but the count. It never ends the program: its caller does, when
 * its own lock is open again.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#if __has_include(<execinfo.h>)
#include <execinfo.h>
#define FRAMES 32
#endif

#include "core/guarded.h"
#include "guard/guard.h"

static const char *const crime_names[] = {
	[ZCREQ_GUARD_CHANGED] = "memory in flight was changed",
	[ZCREQ_GUARD_WRITTEN] = "memory in flight is written to",
	[ZCREQ_GUARD_UNMAPPED] = "memory in flight was unmapped",
	[ZCREQ_GUARD_DESCRIPTOR] = "the descriptor was closed behind the library's back",
	[ZCREQ_GUARD_THREAD] = "a call from a thread that does not have the context",
	[ZCREQ_GUARD_PROCESS] = "a call in a child of the process that has the context",
	[ZCREQ_GUARD_FREED] = "a connection is used after it was freed",
	[ZCREQ_GUARD_LOST] = "a write to a page was lost, which was being exchanged for another",
	[ZCREQ_GUARD_BLIND] = "no memory to watch this send",
};

#ifdef FRAMES
/* What is being done as it is found, so that it helps to know how it was reached. */
static const bool is_being_done[] = {
	[ZCREQ_GUARD_WRITTEN] = true,
	[ZCREQ_GUARD_THREAD] = true,
	[ZCREQ_GUARD_PROCESS] = true,
	[ZCREQ_GUARD_FREED] = true,
	[ZCREQ_GUARD_BLIND] = false,
};
#endif

/* The line on stderr in one write, and for what is being done how it was reached. */
static void print(const struct zcreq_guard_report *report)
{
	dprintf(STDERR_FILENO, "%s\n", report->text);
#ifdef FRAMES
	if (is_being_done[report->crime]) {
		void *frames[FRAMES];

		backtrace_symbols_fd(frames, backtrace(frames, FRAMES), STDERR_FILENO);
	}
#endif
}

/* The first backtrace of a process loads a library, which no handler may. */
void zcreq_guard_prepare_backtrace(void)
{
#ifdef FRAMES
	void *frame;

	backtrace(&frame, 1);
#endif
}

bool zcreq_guard_tell(struct zcreq_guard *guard, struct zcreq_guard_report *report,
		      const char *format, ...)
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

int zcreq_guard_reports(const struct zcreq_context *context)
{
	struct zcreq_guard *guard;
	unsigned crimes;

	if (!context)
		return -EINVAL;
	guard = zcreq_guard_of(context);
	if (!guard)
		return -ENOENT;
	crimes = atomic_load(&guard->crimes);
	/* uncovered: 2^31 reports take the better part of an hour */
	return crimes > INT_MAX ? INT_MAX : (int)crimes;
}
