/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zcreq-trace - a trace of the library as a picture, as JSON, or as text
 *
 * See zcreq-trace(1), and zcreq/trace.h for what it reads.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "timeline.h"

struct options {
	enum { FORMAT_SVG = 1, FORMAT_JSON, FORMAT_TEXT } format;
	const char *path, *title;
	double before_ms; /* negative: all */
	long most_lanes;
};

static void usage(FILE *out)
{
	fprintf(out, "usage: zcreq-trace [--svg | --json | --text] [--title TEXT] [--before MS]\n"
		     "                   [--lanes N] [FILE]\n\n"
		     "Draws what zcreq_trace_dump() has written.\n\n"
		     "  --svg         a timeline, one lane for each request (the default)\n"
		     "  --json        for Perfetto (ui.perfetto.dev) and chrome://tracing\n"
		     "  --text        a line for each event\n"
		     "  --title TEXT  the heading of the picture\n"
		     "  --before MS   begin the picture so long before the first mark, stall or abort\n"
		     "  --lanes N     at most so many requests, the newest (1500)\n"
		     "  --help        this text\n");
}

static bool parse(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
		{"svg", no_argument, NULL, 's'},	{"json", no_argument, NULL, 'j'},
		{"text", no_argument, NULL, 't'},	{"title", required_argument, NULL, 'T'},
		{"before", required_argument, NULL, 'b'}, {"lanes", required_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},	{NULL, 0, NULL, 0},
	};
	char *end = "";
	int option;

	*o = (struct options){.format = FORMAT_SVG, .path = "-", .before_ms = -1,
			      .most_lanes = 1500};
	while ((option = getopt_long(argc, argv, "h", names, NULL)) != -1) {
		switch (option) {
		case 's': o->format = FORMAT_SVG; break;
		case 'j': o->format = FORMAT_JSON; break;
		case 't': o->format = FORMAT_TEXT; break;
		case 'T': o->title = optarg; break;
		case 'b':
			o->before_ms = strtod(optarg, &end);
			if (!*optarg || !(o->before_ms >= 0))
				return false;
			break;
		case 'l': o->most_lanes = strtol(optarg, &end, 10); break;
		case 'h':
			usage(stdout);
			exit(EXIT_SUCCESS);
		default: return false;
		}
		if (*end || o->most_lanes < 1)
			return false;
	}
	if (optind < argc)
		o->path = argv[optind++];
	return optind == argc;
}

/* The first event that the picture is about: a mark, or else a stall or an abort. */
static const struct zcreq_trace_event *first_news(const struct trace *trace)
{
	const struct zcreq_trace_event *found = NULL;

	for (size_t i = 0; i < trace->count; i++) {
		const struct zcreq_trace_event *event = &trace->events[i];

		if (event->kind == ZCREQ_TRACE_MARK)
			return event;
		if (!found &&
		    (event->kind == ZCREQ_TRACE_STALL || event->kind == ZCREQ_TRACE_ABORT))
			found = event;
	}
	return found;
}

static bool draw(const struct options *o, const struct trace *trace, const struct lives *lives)
{
	const struct zcreq_trace_event *zero = first_news(trace);
	struct picture picture = {
		.title = o->title, .from_ns = lives->from_ns, .to_ns = lives->to_ns,
		.zero_ns = zero ? zero->time_ns : lives->from_ns,
		.most_lanes = (size_t)o->most_lanes,
	};

	if (o->before_ms >= 0 && (double)(picture.zero_ns - picture.from_ns) > o->before_ms * 1e6)
		picture.from_ns = picture.zero_ns - (uint64_t)(o->before_ms * 1e6);
	return trace_svg(stdout, trace, lives, &picture);
}

static const char *read_file(const char *path, struct trace *trace)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	const char *wrong;

	if (!file)
		return strerror(errno);
	wrong = trace_read(file, trace);
	if (file != stdin)
		fclose(file);
	return wrong;
}

static const char *show(const struct options *o, const struct trace *trace)
{
	const char *wrong = NULL;
	struct lives lives;

	if (lives_make(trace, &lives))
		return "no memory";
	if (o->format == FORMAT_SVG)
		wrong = draw(o, trace, &lives) ? NULL : "no memory";
	else if (o->format == FORMAT_JSON)
		trace_json(stdout, trace, &lives);
	else
		trace_text(stdout, trace);
	lives_free(&lives);
	return wrong;
}

int main(int argc, char **argv)
{
	struct options o;
	struct trace trace;
	const char *wrong;

	if (!parse(argc, argv, &o)) {
		usage(stderr);
		return 2;
	}
	wrong = read_file(o.path, &trace);
	if (!wrong) {
		wrong = show(&o, &trace);
		trace_free(&trace);
	}
	if (wrong) {
		fprintf(stderr, "zcreq-trace: %s: %s\n", o.path, wrong);
		return EXIT_FAILURE;
	}
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "zcreq-trace: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
