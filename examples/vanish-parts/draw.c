/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * draw.c - the picture: every request is a line, from its send to its release
 *
 * Reads the results and writes an SVG; measures and decides nothing. One panel
 * for each way of ending, one lane in it for each buffer that was in flight at the
 * cut, the oldest on top. A lane shows the request in flight, before it the one
 * that had the buffer earlier, and after it what became of the buffer.
 *
 * Time is linear before the cut, logarithmic from the cut to the moment the link
 * comes back, since what there is to see happens at 1 ms, 500 ms and never, and
 * not to scale after that. Colours are from the palette of Okabe and Ito, told
 * apart by lightness as well, and foreign data is hatched: nothing depends on
 * hue alone. The picture has a ground of its own, so it reads on any page; one
 * that is shown in dark mode turns dark.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "vanish.h"

/* Not an enum: clang warns of one of its constants beside a double. */
#define WIDTH 1000
#define TOP 168 /* of the first panel */
#define PANEL 104 /* its height */
#define PITCH 120 /* from one to the next */
#define BOTTOM 68 /* below the last: the axis and its words */
#define LEFT_X 222 /* BEFORE_MS before the cut */
#define CUT_X 304 /* the cut */
#define BACK_X 716 /* the link is back */
#define RIGHT_X 786 /* the edge */
#define TEXT_X 802 /* the outcome in words */
#define BEFORE_MS 60
#define GOES_ON 30 /* past the end of the measurement, for what did not end */

#define FIRST_MS 0.1 /* where the logarithmic part begins */

static const char style[] =
	"<style>\n"
	"text{font-family:-apple-system,'Segoe UI',Roboto,'DejaVu Sans',Arial,sans-serif;"
	"font-size:13px;fill:#1f2328}\n"
	".h1{font-size:21px;font-weight:600}.big{font-size:16px;font-weight:600}\n"
	".dim{fill:#59636e}.bad{fill:#b3101f;font-weight:600}.good{fill:#005a8f}\n"
	".ground{fill:#ffffff;stroke:#d1d9e0}.panel{fill:#f3f5f7}.line{stroke:#1f2328}\n"
	".grid{stroke:#d5dbe1}\n"
	".flight{stroke:#0072b2}.earlier{stroke:#8cc0de}.stuck{stroke:#e69f00}\n"
	".foreign{stroke:#c8102e}.hatch{stroke:#ffffff}.on{fill:#1f2328}.arrow{fill:#e69f00}\n"
	"@media (prefers-color-scheme:dark){\n"
	"text{fill:#e6edf3}.dim{fill:#9aa4af}.bad{fill:#ff8b84}.good{fill:#79c0ff}\n"
	".on{fill:#1f2328}.ground{fill:#0d1117;stroke:#3d444d}.panel{fill:#1a2027}.line{stroke:#e6edf3}\n"
	".grid{stroke:#343c46}\n"
	".flight{stroke:#3f9fdc}.earlier{stroke:#265a7c}.stuck{stroke:#e69f00}\n"
	".foreign{stroke:#f0524f}.hatch{stroke:#0d1117}}\n"
	"</style>\n"
	"<defs><pattern id=\"stripes\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" "
	"patternTransform=\"rotate(45)\"><path class=\"hatch\" stroke-width=\"2.4\" "
	"d=\"M0 0V7\"/></pattern></defs>\n";

static const char heading[] = "A host vanishes: eight ways to get zero-copy buffers back";

/* ---- time to place ---- */

static double place(const struct result *result, uint64_t at_ns)
{
	double ms = ((double)at_ns - (double)result->cut_ns) / 1e6;

	if (ms <= 0)
		return fmax(LEFT_X, CUT_X + ms * (CUT_X - LEFT_X) / BEFORE_MS);
	if (ms <= FIRST_MS)
		return CUT_X;
	return fmin(BACK_X, CUT_X + (BACK_X - CUT_X) * log10(ms / FIRST_MS) /
					    log10((double)OUTAGE_MS / FIRST_MS));
}

static __attribute__((format(printf, 5, 6))) void
text(FILE *file, double x, double y, const char *attributes, const char *format, ...)
{
	va_list args;

	fprintf(file, "<text x=\"%.0f\" y=\"%.0f\" %s>", x, y, attributes);
	va_start(args, format);
	vfprintf(file, format, args);
	va_end(args);
	fprintf(file, "</text>\n");
}

static void vertical(FILE *file, const char *attributes, double x, double from, double to)
{
	fprintf(file, "<path %s d=\"M%.1f %.1fV%.1f\"/>\n", attributes, x, from, to);
}

/* ---- one panel ---- */

static int by_send_time(const void *a, const void *b, void *lives)
{
	const struct life *at = lives;
	uint64_t first = at[*(const unsigned *)a].sent_ns;
	uint64_t second = at[*(const unsigned *)b].sent_ns;

	return first < second ? -1 : first > second;
}

enum stroke { EARLIER, FLIGHT, STUCK, FOREIGN };

/* The stretch of a lane that is drawn in one stroke: false if there is none. */
static bool stretch(const struct result *result, unsigned i, enum stroke stroke, double *from,
		    double *to)
{
	const struct life *life = &result->lives[i], *earlier = &result->earlier[i];

	switch (stroke) {
	case EARLIER:
		*from = place(result, earlier->sent_ns);
		*to = place(result, earlier->released_ns) - 0.7;
		return earlier->sent_ns && *to > *from;
	case FLIGHT:
		*from = place(result, life->sent_ns);
		*to = place(result, life->released_ns);
		return life->released_ns != 0;
	case STUCK:
		*from = place(result, life->sent_ns);
		*to = BACK_X + GOES_ON;
		return !life->released_ns;
	default:
		*from = place(result, life->released_ns);
		*to = RIGHT_X;
		return life->foreign_bytes != 0;
	}
}

/* All lanes of a panel in one stroke, as one path: @paint is its class and colour. */
static void draw_stroke(FILE *file, const struct setup *setup, const struct result *result,
			const unsigned *order, enum stroke stroke, const char *paint, double top)
{
	double pitch = (PANEL - 8.0) / setup->requests, from, to;
	unsigned i;

	fprintf(file, "<path %s stroke-width=\"%.3f\" d=\"", paint, pitch * 0.75);
	for (i = 0; i < setup->requests; i++)
		if (stretch(result, order[i], stroke, &from, &to))
			fprintf(file, "M%.1f %.2fH%.1f", from, top + 4 + pitch * (i + 0.5), to);
	fprintf(file, "\"/>\n");
}

static void draw_lanes(FILE *file, const struct setup *setup, const struct result *result,
		       double top)
{
	unsigned *order = calloc(setup->requests, sizeof(*order)), i;

	if (!order)
		return;
	for (i = 0; i < setup->requests; i++)
		order[i] = i;
	qsort_r(order, setup->requests, sizeof(*order), by_send_time, result->lives);
	draw_stroke(file, setup, result, order, EARLIER, "class=\"earlier\"", top);
	draw_stroke(file, setup, result, order, FLIGHT, "class=\"flight\"", top);
	if (result->released < setup->requests)
		draw_stroke(file, setup, result, order, STUCK, "class=\"stuck\"", top);
	if (result->foreign_bytes) {
		draw_stroke(file, setup, result, order, FOREIGN, "class=\"foreign\"", top);
		draw_stroke(file, setup, result, order, FOREIGN, "stroke=\"url(#stripes)\"", top);
	}
	free(order);
}

/* Say in the panel what the colour means there, where there is room for it. */
static void draw_remark(FILE *file, const struct setup *setup, const struct result *result,
			double top)
{
	double middle = top + PANEL / 2.0, from = place(result, result->last_ns);

	if (result->released < setup->requests) {
		fprintf(file, "<path class=\"arrow\" d=\"M%d %.1fl-13 -9v18z\"/>\n",
			BACK_X + GOES_ON + 22, middle);
		text(file, (CUT_X + BACK_X) / 2.0, middle + 5, "class=\"on\" text-anchor=\"middle\"",
		     "stuck: nobody may reuse or free them");
	} else if (result->foreign_bytes) {
		fprintf(file,
			"<rect class=\"ground\" x=\"%.0f\" y=\"%.0f\" width=\"284\" height=\"26\" "
			"rx=\"4\"/>\n",
			(from + RIGHT_X) / 2 - 142, middle - 13);
		text(file, (from + RIGHT_X) / 2, middle + 5, "class=\"bad\" text-anchor=\"middle\"",
		     "kernel sends the next tenant’s data");
	} else if (from < (CUT_X + BACK_X) / 2) {
		text(file, (from + RIGHT_X) / 2, middle + 5, "class=\"dim\" text-anchor=\"middle\"",
		     "free, and safe to reuse");
	}
}

static void draw_outcome(FILE *file, const struct way *way, const struct setup *setup,
			 const struct result *result, double top)
{
	bool all = result->released == setup->requests;
	double ms = ((double)result->last_ns - (double)result->cut_ns) / 1e6;
	const char *tone = !all || result->foreign_bytes ? "class=\"big bad\""
			   : way->limit_ms	       ? "class=\"big good\""
						       : "class=\"big\"";

	text(file, TEXT_X, top + 28, tone, "%u of %u released", result->released, setup->requests);
	if (!all)
		text(file, TEXT_X, top + 48, "", "%u still stuck after %d s",
		     setup->requests - result->released, OUTAGE_MS / 1000);
	else
		text(file, TEXT_X, top + 48, "", ms < 10 ? "after %.1f ms" : "after %.0f ms", ms);
	if (result->foreign_bytes)
		text(file, TEXT_X, top + 68, "class=\"bad\"", "%.1f MB of foreign data",
		     (double)result->foreign_bytes / 1e6);
	else
		text(file, TEXT_X, top + 68, "class=\"dim\"", "no foreign data");
	if (result->doubles)
		text(file, TEXT_X, top + 86, "class=\"bad\"", "%u completed twice", result->doubles);
}

static void draw_panel(FILE *file, const struct way *way, const struct setup *setup,
		       const struct result *result, unsigned index)
{
	double top = TOP + index * PITCH;

	fprintf(file,
		"<g><title>%s %s: %u of %u released, %" PRIu64 " foreign bytes received</title>\n"
		"<rect class=\"panel\" x=\"%d\" y=\"%.0f\" width=\"%d\" height=\"%d\"/>\n",
		way->label, way->label2, result->released, setup->requests, result->foreign_bytes,
		LEFT_X, top, RIGHT_X - LEFT_X, PANEL);
	text(file, 24, top + 28, "class=\"big\"", "%u", index + 1);
	text(file, 44, top + 28, "class=\"big\"", "%s", way->label);
	text(file, 44, top + 48, "", "%s", way->label2);
	if (result->state == RESULT_MEASURED) {
		draw_lanes(file, setup, result, top);
		draw_outcome(file, way, setup, result, top);
	} else {
		text(file, TEXT_X, top + 28, "class=\"big bad\"", "not measured");
	}
	fprintf(file, "</g>\n");
}

/* ---- what is around the panels ---- */

static void legend(FILE *file, double x, const char *class, const char *words, bool hatched)
{
	unsigned i;

	for (i = 0; i < 4; i++)
		fprintf(file, "<path class=\"%s\" stroke-width=\"2.2\" d=\"M%.0f %uh34\"/>\n", class, x,
			105 + 3 * i);
	if (hatched)
		fprintf(file,
			"<rect x=\"%.0f\" y=\"103\" width=\"34\" height=\"13\" "
			"fill=\"url(#stripes)\"/>\n",
			x);
	text(file, x + 41, 114, "", "%s", words);
}

static void draw_heading(FILE *file, const struct setup *setup)
{
	text(file, 24, 42, "class=\"h1\"", "%s", heading);
	text(file, 24, 68, "class=\"dim\"",
	     "%u requests of %zu KiB are in flight when the link is cut. Each line is one of them, from "
	     "its send until the sender thinks its",
	     setup->requests, setup->size_bytes >> 10);
	text(file, 24, 86, "class=\"dim\"",
	     "buffer is free and hands it to the next tenant. After %d seconds the link is back and the "
	     "receiver reads what still comes.",
	     OUTAGE_MS / 1000);
	legend(file, 24, "flight", "in flight, then released", false);
	legend(file, 250, "stuck", "still not released", false);
	legend(file, 432, "foreign", "reused while the kernel still sends from it", true);
	legend(file, 802, "earlier", "earlier requests", false);
}

static void draw_axis(FILE *file)
{
	static const struct {
		double ms;
		const char *words;
	} marks[] = {{1, "1 ms"}, {10, "10 ms"}, {100, "100 ms"}, {1000, "1 s"}};
	double bottom = TOP + (WAYS - 1) * PITCH + PANEL;
	struct result zero = {.cut_ns = 1000000000};
	unsigned i;

	for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		double x = place(&zero, zero.cut_ns + (uint64_t)(marks[i].ms * 1e6));

		vertical(file, "class=\"grid\"", x, TOP, bottom + 6);
		text(file, x, bottom + 22, "text-anchor=\"middle\"", "%s", marks[i].words);
	}
	text(file, LEFT_X + 6, bottom + 22, "text-anchor=\"middle\"", "−%d ms", BEFORE_MS);
	text(file, CUT_X, bottom + 22, "text-anchor=\"middle\"", "0");
	text(file, BACK_X, bottom + 22, "text-anchor=\"middle\"", "%d s", OUTAGE_MS / 1000);
	text(file, (CUT_X + BACK_X) / 2.0, bottom + 46, "class=\"dim\" text-anchor=\"middle\"",
	     "time since the cut (logarithmic)");
	text(file, (BACK_X + RIGHT_X) / 2.0 + 12, bottom + 46, "class=\"dim\" text-anchor=\"middle\"",
	     "afterwards");
}

/* Drawn over the panels. */
static void draw_events(FILE *file)
{
	double bottom = TOP + (WAYS - 1) * PITCH + PANEL;

	vertical(file, "class=\"line\" stroke-width=\"1.6\"", CUT_X, TOP - 12, bottom + 8);
	vertical(file, "class=\"line\" stroke-width=\"1.6\" stroke-dasharray=\"5 4\"", BACK_X, TOP - 12,
		 bottom + 8);
	text(file, CUT_X, TOP - 18, "class=\"big\" text-anchor=\"middle\"", "link cut");
	text(file, BACK_X, TOP - 18, "class=\"big\" text-anchor=\"middle\"", "link back");
}

static void describe(FILE *file, const struct setup *setup, const struct result *results)
{
	unsigned i;

	fprintf(file,
		"<title>%s</title>\n<desc>Timeline of %u requests in flight when the link is cut.",
		heading, setup->requests);
	for (i = 0; i < WAYS; i++) {
		const struct result *result = &results[i];

		fprintf(file, " %s %s: %u released", ways[i].label, ways[i].label2,
			result->released);
		if (result->released)
			fprintf(file, ", the last %.1f ms after the cut",
				((double)result->last_ns - (double)result->cut_ns) / 1e6);
		fprintf(file, ", %" PRIu64 " bytes of foreign data received.",
			result->foreign_bytes);
	}
	fprintf(file, "</desc>\n");
}

int draw(FILE *file, const struct setup *setup, const struct result *results)
{
	int height = TOP + (WAYS - 1) * PITCH + PANEL + BOTTOM;
	unsigned i;

	fprintf(file,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\" role=\"img\">\n",
		WIDTH, height, WIDTH, height);
	describe(file, setup, results);
	fprintf(file, "%s", style);
	fprintf(file,
		"<rect class=\"ground\" x=\"0.5\" y=\"0.5\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n",
		WIDTH - 1, height - 1);
	draw_heading(file, setup);
	for (i = 0; i < WAYS; i++)
		draw_panel(file, &ways[i], setup, &results[i], i);
	draw_axis(file);
	draw_events(file);
	for (i = 0; i < WAYS; i++)
		if (results[i].state == RESULT_MEASURED)
			draw_remark(file, setup, &results[i], TOP + i * PITCH);
	fprintf(file, "</svg>\n");
	return ferror(file) ? -1 : 0;
}
