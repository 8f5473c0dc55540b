/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * news.c - what happens to a whole connection, in a few words
 */
#include <string.h>

#include <zcreq/conn.h>

#include "base/words.h"
#include "timeline.h"

bool trace_is_news(const struct zcreq_trace_event *event)
{
	switch (event->kind) {
	case ZCREQ_TRACE_OPEN:
	case ZCREQ_TRACE_DRAIN:
	case ZCREQ_TRACE_STALL:
	case ZCREQ_TRACE_ABORT:
	case ZCREQ_TRACE_DISCONNECT:
	case ZCREQ_TRACE_CLOSED:
	case ZCREQ_TRACE_STALE:
	case ZCREQ_TRACE_MARK:
	case ZCREQ_TRACE_DETACH:
		return true;
	default:
		return false;
	}
}

static const char *verdict(int status)
{
	static const char *const words[] = {
		[ZCREQ_STALL_VANISHED] = "the peer has vanished",
		[ZCREQ_STALL_NOT_READING] = "the peer does not read",
		[ZCREQ_STALL_CONGESTED] = "slow",
	};

	return status > 0 && status <= ZCREQ_STALL_CONGESTED ? words[status] : "?";
}

/* NULL: it is not over, or a number that nobody knows. */
static const char *cause(uint32_t number)
{
	if (number == ZCREQ_CAUSE_ABORTED)
		return "by the program"; /* that it was aborted is said before */
	return number <= ZCREQ_CAUSE_SENDER ? zcreq_cause_words(number) : NULL;
}

/* What has happened, and why it ended. */
static void add_cause(const struct zcreq_trace_event *event, char *text, size_t size)
{
	const char *why = cause(event->first);
	size_t len = strlen(text);

	if (why)
		snprintf(text + len, size - len, " (%s)", why);
}

void trace_news(const struct zcreq_trace_event *event, char *text, size_t size)
{
	char mark[17];

	switch (event->kind) {
	case ZCREQ_TRACE_MARK:
		trace_mark_text(event, mark);
		snprintf(text, size, "%s", mark);
		break;
	case ZCREQ_TRACE_STALL:
		snprintf(text, size, "watchdog: %s", verdict(event->status));
		break;
	case ZCREQ_TRACE_ABORT:
		snprintf(text, size, "abort: %s", strerror(-event->status));
		add_cause(event, text, size);
		break;
	case ZCREQ_TRACE_CLOSED:
		snprintf(text, size, "closed");
		add_cause(event, text, size);
		break;
	case ZCREQ_TRACE_DISCONNECT:
		snprintf(text, size, event->status ? "disconnect: %s" : "disconnected",
			 strerror(-event->status));
		break;
	case ZCREQ_TRACE_DETACH:
		if (event->status)
			snprintf(text, size, "detach refused: %s", strerror(-event->status));
		else
			snprintf(text, size, "detached %u sends", event->first);
		break;
	case ZCREQ_TRACE_STALE:
		snprintf(text, size, "stale handle refused");
		break;
	default:
		snprintf(text, size, "%s", trace_kind_name(event->kind));
	}
}
