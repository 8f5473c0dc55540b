/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * screen.c - pages in lines, for people
 *
 * All pages of a file are one program: sums first, then what has ended, which is why most
 * people look, then the connections with the oldest request first, as many as fit.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "top.h"

/* Lines of connections that have ended, where the height is limited. */
#define ENDED_LINES 4

enum look { PLAIN, BOLD, RED, YELLOW };

struct screen {
	FILE *out;
	const struct view *view;
	unsigned lines;
};

/* ---- lines ---- */

static unsigned lines_left(const struct screen *screen)
{
	return screen->view->height ? screen->view->height - screen->lines : UINT32_MAX;
}

/* One line, cut where the terminal ends; none, if there is no room. */
__attribute__((format(printf, 3, 4)))
static void line(struct screen *screen, enum look look, const char *format, ...)
{
	static const char *const looks[] = {"", "\033[1m", "\033[31m", "\033[33m"};
	const struct view *view = screen->view;
	char text[512];
	va_list args;

	if (!lines_left(screen))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (view->width && view->width < sizeof(text))
		text[view->width] = '\0';
	if (!view->terminal) {
		fprintf(screen->out, "%s\n", text);
	} else {
		/* no line end after the last one, or the terminal would scroll */
		fprintf(screen->out, "%s%s%s%s\033[K", screen->lines ? "\n" : "\033[H", looks[look],
			text, look ? "\033[0m" : "");
	}
	screen->lines++;
}

static void end(const struct screen *screen)
{
	if (screen->view->terminal)
		fputs("\033[J", screen->out);
}

/* ---- sums ---- */

static void show_program(struct screen *screen, const struct pages *pages)
{
	const struct zcreq_page *first = &pages->list[0].head;
	char up[WORD], text[WORDS];

	line(screen, BOLD, "%s%sprocess %" PRIu32 ", up %s", first->name, *first->name ? ", " : "",
	     first->pid, duration_text(since_ns(first->started_ns, first->written_ns), up));
	for (size_t i = 0; i < pages->count; i++) {
		const char *trouble = page_trouble(&pages->list[i].head, screen->view->now, text);

		if (trouble && pages->count > 1)
			line(screen, RED, "page %zu: %s", i, trouble);
		else if (trouble)
			line(screen, RED, "%s", trouble);
	}
}

static void show_sums(struct screen *screen, const struct pages *pages)
{
	const struct zcreq_stats sum = pages_sum(pages);
	const struct view *view = screen->view;
	char one[WORD], two[WORD], three[WORD], rate[WORDS] = "";

	line(screen, PLAIN,
	     "requests    %" PRIu64 " in flight, the oldest %s; %" PRIu64 " begun, %" PRIu64
	     " aborted",
	     sum.requests_now, duration_text(sum.oldest_age_ns, one), sum.begun, sum.aborted);
	if (view->rated)
		snprintf(rate, sizeof(rate), ", %s/s now", bytes_text(view->sent_rate, one));
	line(screen, PLAIN, "bytes       %s unsent, %s in the kernel; %s sent%s",
	     bytes_text(sum.unsent_bytes_now, one), bytes_text(sum.kernel_bytes_now, two),
	     bytes_text(sum.sent_bytes, three), rate);
	copied_text(&sum, one);
	line(screen, PLAIN, "copied      %s of %" PRIu64 " calls", *one ? one : "none",
	     sum.copied_batches + sum.zerocopy_batches);
	line(screen, PLAIN,
	     "verdicts    %" PRIu64 " vanished, %" PRIu64 " not reading, %" PRIu64 " congested",
	     sum.stalled_vanished, sum.stalled_not_reading, sum.stalled_congested);
	line(screen, sum.quarantined_now ? RED : PLAIN,
	     "quarantine  %" PRIu64 " requests, %s bytes", sum.quarantined_now,
	     bytes_text(sum.quarantined_bytes_now, one));
}

/* ---- connections ---- */

/* "3", or "1/3": where there are several pages, which one comes first. */
static const char *number_text(const struct pages *pages, struct place place, char text[WORD])
{
	if (pages->count > 1)
		snprintf(text, WORD, "%zu/%" PRIu32, place.page, place.conn->number);
	else
		snprintf(text, WORD, "%" PRIu32, place.conn->number);
	return text;
}

/* What has gone wrong, since the page was begun. */
static void show_ended(struct screen *screen, const struct pages *pages)
{
	char number[WORD], ago[WORD];
	uint64_t ended = 0;

	for (size_t i = 0; i < pages->count; i++)
		ended += pages->list[i].head.ended_count;
	if (!ended)
		return;
	line(screen, PLAIN, "%s", "");
	line(screen, BOLD, "%6s  ended before their time: %" PRIu64, "", ended);
	for (size_t i = 0; i < pages->ended_count; i++) {
		const struct zcreq_page_conn *conn = pages->ended[i].conn;

		if (screen->view->height && i == ENDED_LINES)
			return;
		line(screen, RED, "%6s  %-22s %s ago: %s (%s), requests aborted: %" PRIu64,
		     number_text(pages, pages->ended[i], number), conn->name,
		     duration_text(since_ns(conn->ended_ns, screen->view->now), ago),
		     cause_words(conn->cause), strerror(-conn->status), conn->stats.aborted);
	}
}

/* What its peer is doing, and how bad that is. */
static enum look peer_words(const struct zcreq_page_conn *conn, const char **words)
{
	switch (conn->verdict) {
	case ZCREQ_STALL_VANISHED:
		*words = "vanished";
		return RED;
	case ZCREQ_STALL_NOT_READING:
		*words = "not reading";
		return YELLOW;
	case ZCREQ_STALL_CONGESTED:
		*words = conn->quiet_ns < 500000000 ? "moving" : "quiet";
		return PLAIN;
	default:
		*words = "";
		return PLAIN;
	}
}

#define COLUMNS "%6s  %-22s %-11s %8s %7s %7s %7s %6s %7s  %s"

static void show_conn(struct screen *screen, const struct pages *pages, struct place place)
{
	const struct zcreq_page_conn *conn = place.conn;
	const struct zcreq_stats *stats = &conn->stats;
	char number[WORD], requests[WORD], oldest[WORD] = "", unsent[WORD], kernel[WORD];
	char copied[WORD], quiet[WORD] = "";
	const char *words;
	enum look look = peer_words(conn, &words);

	if (conn->state > ZCREQ_CONN_DRAINING)
		look = RED;
	if (stats->requests_now)
		duration_text(stats->oldest_age_ns, oldest);
	if (conn->verdict)
		duration_text(conn->quiet_ns, quiet);
	snprintf(requests, sizeof(requests), "%" PRIu64, stats->requests_now);
	line(screen, look, COLUMNS, number_text(pages, place, number), conn->name,
	     state_name(conn->state), requests, oldest,
	     bytes_text(stats->unsent_bytes_now, unsent),
	     bytes_text(stats->kernel_bytes_now, kernel), copied_text(stats, copied), quiet, words);
}

static void show_conns(struct screen *screen, const struct pages *pages)
{
	uint64_t conns = 0;
	size_t shown = 0;

	for (size_t i = 0; i < pages->count; i++)
		conns += pages->list[i].head.conn_count;
	line(screen, PLAIN, "%s", "");
	line(screen, BOLD, COLUMNS, "number", "connection to", "state", "requests", "oldest",
	     "unsent", "kernel", "copied", "silent", "peer");
	/* the last line may be for what does not fit */
	while (shown < pages->conn_count && (lines_left(screen) > 1 || conns - shown == 1))
		show_conn(screen, pages, pages->conns[shown++]);
	if (conns > shown)
		line(screen, PLAIN, "        and %" PRIu64 " more", conns - shown);
}

void screen_show(FILE *out, const struct pages *pages, const struct view *view)
{
	struct screen screen = {.out = out, .view = view};

	show_program(&screen, pages);
	show_sums(&screen, pages);
	show_ended(&screen, pages);
	show_conns(&screen, pages);
	end(&screen);
}

void screen_tell(FILE *out, const char *path, const char *wrong, const struct view *view)
{
	struct screen screen = {.out = out, .view = view};

	line(&screen, RED, "%s: %s", path, wrong);
	end(&screen);
}
