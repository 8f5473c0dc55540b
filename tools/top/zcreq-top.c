/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zcreq-top - the connections of a running program, from its statistics page
 *
 * See zcreq-top(1), and zcreq/page.h for what it reads. The file is opened anew for each
 * look, so that a program that was started again is found.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "top.h"

struct options {
	enum { FORMAT_SCREEN = 1, FORMAT_ONCE, FORMAT_PROMETHEUS } format;
	const char *path;
	unsigned interval_ms;
};

/* What was seen, for what is sent in a second. */
struct moment {
	uint64_t written_ns, sent_bytes;
	uint32_t pid;
};

static void usage(FILE *out)
{
	fprintf(out,
		"usage: zcreq-top [--once | --prometheus] [--interval SECONDS] FILE\n\n"
		"Shows the connections of a program that keeps a statistics page in FILE.\n\n"
		"  --once              show them once, in plain text; also if this is no terminal\n"
		"  --prometheus        the same as samples for Prometheus\n"
		"  --interval SECONDS  between two looks, from 0.1 to 3600 (1)\n"
		"  --help              this text\n\n"
		"q ends it.\n");
}

/* False: it is no such number. */
static bool parse_interval(const char *text, unsigned *ms)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0.1 && seconds <= 3600))
		return false;
	*ms = (unsigned)(seconds * 1000);
	return true;
}

static bool parse(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
		{"once", no_argument, NULL, 'o'},
		{"prometheus", no_argument, NULL, 'p'},
		{"interval", required_argument, NULL, 'i'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option;

	*o = (struct options){.format = FORMAT_SCREEN, .interval_ms = 1000};
	while ((option = getopt_long(argc, argv, "h", names, NULL)) != -1) {
		switch (option) {
		case 'o': o->format = FORMAT_ONCE; break;
		case 'p': o->format = FORMAT_PROMETHEUS; break;
		case 'i':
			if (!parse_interval(optarg, &o->interval_ms))
				return false;
			break;
		case 'h':
			usage(stdout);
			exit(EXIT_SUCCESS);
		default: return false;
		}
	}
	if (optind < argc)
		o->path = argv[optind++];
	return o->path && optind == argc;
}

/* ---- once ---- */

static int show_once(const struct options *o)
{
	struct view view = {.now = 0};
	struct pages pages;
	const char *wrong = pages_read(o->path, &pages);

	if (wrong) {
		fprintf(stderr, "zcreq-top: %s: %s\n", o->path, wrong);
		return EXIT_FAILURE;
	}
	view.now = now_ns();
	if (o->format == FORMAT_PROMETHEUS)
		prometheus_show(stdout, &pages, view.now);
	else
		screen_show(stdout, &pages, &view);
	pages_free(&pages);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "zcreq-top: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

/* ---- again and again ---- */

/* When one of them was written last. */
static uint64_t written_ns(const struct pages *pages)
{
	uint64_t newest_ns = 0;

	for (size_t i = 0; i < pages->count; i++)
		if (pages->list[i].head.written_ns > newest_ns)
			newest_ns = pages->list[i].head.written_ns;
	return newest_ns;
}

/* Pages that were not written since say nothing new. */
static void rate(const struct pages *pages, struct moment *last, struct view *view)
{
	const struct moment now = {
		.written_ns = written_ns(pages),
		.sent_bytes = pages_sum(pages).sent_bytes,
		.pid = pages->list[0].head.pid,
	};

	if (now.pid != last->pid || now.sent_bytes < last->sent_bytes) {
		view->rated = false;
	} else if (now.written_ns > last->written_ns) {
		view->rated = true;
		view->sent_rate = (uint64_t)((double)(now.sent_bytes - last->sent_bytes) * 1e9 /
					     (double)(now.written_ns - last->written_ns));
	}
	*last = now;
}

static int show_on(const struct options *o)
{
	struct view view = {.terminal = true};
	struct moment last = {.pid = 0};
	struct pages pages;
	const char *wrong;

	do {
		wrong = pages_read(o->path, &pages);
		view.now = now_ns();
		terminal_size(&view.width, &view.height);
		if (wrong) {
			screen_tell(stdout, o->path, wrong, &view);
		} else {
			rate(&pages, &last, &view);
			screen_show(stdout, &pages, &view);
			pages_free(&pages);
		}
		fflush(stdout);
	} while (!ferror(stdout) && terminal_wait(o->interval_ms));
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct options o;

	if (!parse(argc, argv, &o)) {
		usage(stderr);
		return 2;
	}
	if (o.format != FORMAT_SCREEN || !terminal_take())
		return show_once(&o);
	return show_on(&o);
}
