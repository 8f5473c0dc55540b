/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * svg.c - the picture: a lane for each request, coloured by phase
 *
 * All stretches of one phase are one path, so a thousand requests are a few tens of
 * kilobytes. Colours are from the palette of Okabe and Ito and differ in lightness as
 * well; quarantine is hatched too. The picture has a ground of its own, so it reads on
 * any page; one that is shown in dark mode turns dark.
 */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "timeline.h"

enum {
	WIDTH = 1100,
	LEFT = 76,   /* of the plot */
	RIGHT = 1076,
	LEGEND = 96, /* its upper edge */
	LABELS = 132,
	ROW = 17,    /* height of a row of labels */
	ROWS = 6,
	AXIS = 62,   /* below the plot */
};

#define LETTER 6.7 /* width of a letter of a label, about */
#define TICK_LEAST 84.0

static const char style[] =
	"<style>\n"
	"text{font-family:-apple-system,'Segoe UI',Roboto,'DejaVu Sans',Arial,sans-serif;"
	"font-size:12px;fill:#1f2328}\n"
	".h1{font-size:20px;font-weight:600}.dim{fill:#59636e;font-size:13px}\n"
	".ground{fill:#ffffff;stroke:#d1d9e0}.plot{fill:#f3f5f7}.grid{stroke:#d5dbe1}\n"
	".line{stroke:#1f2328}.gap{fill:#ffffff}.tear{stroke:#59636e;fill:none}\n"
	".p0{stroke:#aab3bd}.p1{stroke:#56b4e9}.p2{stroke:#0072b2}.p3{stroke:#e69f00}"
	".p4{stroke:#b3101f}.hatch{stroke:#ffffff}\n"
	"@media (prefers-color-scheme:dark){text{fill:#e6edf3}.dim{fill:#9aa4af}\n"
	".ground{fill:#0d1117;stroke:#3d444d}.plot{fill:#1a2027}.grid{stroke:#343c46}\n"
	".line{stroke:#e6edf3}.gap{fill:#0d1117}.tear{stroke:#9aa4af}\n"
	".p0{stroke:#5b6570}.p1{stroke:#8ccdf3}.p2{stroke:#3f8fd0}.p3{stroke:#e69f00}"
	".p4{stroke:#f0524f}.hatch{stroke:#0d1117}}\n"
	"</style>\n"
	"<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" "
	"patternTransform=\"rotate(45)\"><path class=\"hatch\" stroke-width=\"2.2\" "
	"d=\"M0 0V6\"/></pattern></defs>\n";

struct drawing {
	FILE *out;
	const struct trace *trace;
	const struct lives *lives;
	const struct picture *picture;
	struct axis axis;
	size_t *lane;      /* of each life; SIZE_MAX: not shown */
	size_t *shown;     /* the life in each lane */
	size_t lane_count, hidden;
	size_t untold; /* events without a line across */
	double top, bottom; /* of the plot */
	double pitch;       /* from lane to lane */
	unsigned rows;      /* of labels */
};

/* ---- writing ---- */

static void escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '&')
			fputs("&amp;", out);
		else if (*text == '>')
			fputs("&gt;", out);
		else if ((unsigned char)*text >= ' ')
			putc(*text, out);
	}
}

static __attribute__((format(printf, 5, 6))) void
text(FILE *out, double x, double y, const char *attributes, const char *format, ...)
{
	char words[512];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, attributes);
	escaped(out, words);
	fprintf(out, "</text>\n");
}

/* A time in the unit that suits the precision of @step. */
static void time_text(double ns, double step_ns, char *words, size_t size)
{
	double unit = step_ns >= 1e9 ? 1e9 : step_ns >= 1e5 ? 1e6 : 1e3;
	const char *name = unit == 1e9 ? "s" : unit == 1e6 ? "ms" : "µs";
	int decimals = step_ns / unit >= 1 ? 0 : step_ns / unit >= 0.1 ? 1 : 2;

	snprintf(words, size, "%s%.*f %s", ns < 0 ? "−" : "", decimals, fabs(ns) / unit, name);
}

/* ---- what is shown ---- */

static bool in_picture(const struct picture *picture, uint64_t time_ns)
{
	return time_ns >= picture->from_ns && time_ns <= picture->to_ns;
}

static const struct life *life_at(const struct drawing *d, size_t i)
{
	return &d->lives->lives[i];
}

static const struct lives *sorted_lives;

static int by_conn(const void *a, const void *b)
{
	size_t i = *(const size_t *)a, j = *(const size_t *)b;
	uint32_t first = sorted_lives->lives[i].conn, second = sorted_lives->lives[j].conn;

	return first != second ? (first < second ? -1 : 1) : (i < j ? -1 : i > j);
}

/* The newest that were there at the time get a lane, each connection's together. */
static bool give_lanes(struct drawing *d)
{
	d->shown = calloc(d->lives->count + 1, sizeof(*d->shown));
	d->lane = calloc(d->lives->count + 1, sizeof(*d->lane));
	if (!d->shown || !d->lane)
		return false;
	for (size_t i = d->lives->count; i-- > 0;) {
		d->lane[i] = SIZE_MAX;
		if (life_at(d, i)->ended_ns < d->picture->from_ns)
			continue;
		if (d->lane_count < d->picture->most_lanes)
			d->shown[d->lane_count++] = i;
		else
			d->hidden++;
	}
	sorted_lives = d->lives;
	qsort(d->shown, d->lane_count, sizeof(*d->shown), by_conn);
	for (size_t lane = 0; lane < d->lane_count; lane++)
		d->lane[d->shown[lane]] = lane;
	return true;
}

/* The part of a stretch that is in the picture: false if there is none. */
static bool visible(const struct drawing *d, const struct stretch *stretch, uint64_t *from_ns)
{
	*from_ns = stretch->from_ns > d->picture->from_ns ? stretch->from_ns
							  : d->picture->from_ns;
	return d->lane[stretch->life] != SIZE_MAX && *from_ns < stretch->to_ns;
}

static bool shown_news(const struct drawing *d, const struct zcreq_trace_event *event)
{
	return trace_is_news(event) && event->kind != ZCREQ_TRACE_OPEN &&
	       in_picture(d->picture, event->time_ns);
}

static bool place_time(struct drawing *d)
{
	size_t count = 0;
	uint64_t *times = malloc((2 * d->lives->stretch_count + d->trace->count + 2) *
				 sizeof(*times));

	if (!times)
		return false;
	times[count++] = d->picture->from_ns;
	for (size_t i = 0; i < d->lives->stretch_count; i++) {
		if (!visible(d, &d->lives->stretches[i], &times[count]))
			continue;
		count++;
		times[count++] = d->lives->stretches[i].to_ns;
	}
	for (size_t i = 0; i < d->trace->count; i++)
		if (shown_news(d, &d->trace->events[i]))
			times[count++] = d->trace->events[i].time_ns;
	axis_make(&d->axis, times, count, LEFT, RIGHT);
	free(times);
	return true;
}

/* ---- the parts of the picture ---- */

static unsigned count_if(const struct drawing *d, bool (*is)(const struct life *))
{
	unsigned n = 0;

	for (size_t i = 0; i < d->lives->count; i++)
		n += d->lane[i] != SIZE_MAX && is(life_at(d, i));
	return n;
}

static bool is_aborted(const struct life *life) { return life->aborted; }
static bool is_quarantined(const struct life *life) { return life->quarantined; }
static bool is_left(const struct life *life) { return !life->released; }

static void draw_heading(const struct drawing *d)
{
	const struct picture *picture = d->picture;
	char span[32], words[320];
	double ns = (double)(picture->to_ns - picture->from_ns);
	int at;

	text(d->out, 24, 38, "class=\"h1\"", "%s", picture->title ? picture->title : "zcreq trace");
	time_text(ns, ns / 100, span, sizeof(span));
	at = snprintf(words, sizeof(words), "%zu requests in %s, a lane for each, the oldest on top",
		      d->lane_count, span);
	if (d->hidden)
		at += snprintf(words + at, sizeof(words) - at, " (%zu older ones not shown)",
			       d->hidden);
	text(d->out, 24, 62, "class=\"dim\"", "%s.", words);
	at = snprintf(words, sizeof(words),
		      "%u aborted, %u in quarantine, %u not released at the end of the trace%s",
		      count_if(d, is_aborted), count_if(d, is_quarantined), count_if(d, is_left),
		      d->trace->lost ? "; its beginning is missing" : "");
	if (d->untold)
		snprintf(words + at, sizeof(words) - at, "; %zu lines across are left out",
			 d->untold);
	text(d->out, 24, 81, "class=\"dim\"", "%s.", words);
}

static void draw_legend(const struct drawing *d)
{
	double x = 24;

	for (unsigned phase = 0; phase < PHASES; phase++) {
		fprintf(d->out, "<path class=\"p%u\" stroke-width=\"11\" d=\"M%.0f %dh26\"/>\n", phase,
			x, LEGEND + 8);
		if (phase == PHASE_QUARANTINED)
			fprintf(d->out, "<path stroke=\"url(#hatch)\" stroke-width=\"11\" "
					"d=\"M%.0f %dh26\"/>\n", x, LEGEND + 8);
		text(d->out, x + 33, LEGEND + 12.5, "", "%s", phase_names[phase]);
		x += 33 + LETTER * (double)strlen(phase_names[phase]) + 22;
	}
}

static void draw_phase(const struct drawing *d, enum phase phase, const char *paint)
{
	fprintf(d->out, "<path %s stroke-width=\"%.3f\" d=\"", paint,
		d->pitch > 4 ? d->pitch * 0.7 : d->pitch * 0.86);
	for (size_t i = 0; i < d->lives->stretch_count; i++) {
		const struct stretch *stretch = &d->lives->stretches[i];
		double from, to;
		uint64_t from_ns;

		if (stretch->phase != phase || !visible(d, stretch, &from_ns))
			continue;
		from = axis_place(&d->axis, from_ns);
		to = axis_place(&d->axis, stretch->to_ns);
		/* what is too short to be seen is shown all the same */
		fprintf(d->out, "M%.1f %.2fH%.1f", from,
			d->top + d->pitch * ((double)d->lane[stretch->life] + 0.5),
			to < from + 0.7 ? from + 0.7 : to);
	}
	fprintf(d->out, "\"/>\n");
}

static void draw_lanes(const struct drawing *d)
{
	char paint[24];

	for (unsigned phase = 0; phase < PHASES; phase++) {
		snprintf(paint, sizeof(paint), "class=\"p%u\"", phase);
		draw_phase(d, phase, paint);
	}
	if (count_if(d, is_quarantined))
		draw_phase(d, PHASE_QUARANTINED, "stroke=\"url(#hatch)\"");
}

/* Where the numbers of lanes are written, and where a connection begins. */
static void draw_lane_axis(const struct drawing *d)
{
	size_t step = 1, n = d->lane_count;
	double x = LEFT - 8;

	while ((double)step * d->pitch < 34)
		step *= step % 3 == 2 || step % 10 == 2 ? 5 : 2;
	for (size_t lane = 0; lane < n; lane += step)
		text(d->out, x, d->top + d->pitch * ((double)lane + 0.5) + 4, "text-anchor=\"end\"",
		     "%zu", lane + 1);
	fprintf(d->out, "<text transform=\"translate(22 %.0f) rotate(-90)\" class=\"dim\" "
			"text-anchor=\"middle\">request</text>\n", (d->top + d->bottom) / 2);
	for (size_t lane = 1; lane < n; lane++)
		if (life_at(d, d->shown[lane])->conn != life_at(d, d->shown[lane - 1])->conn)
			fprintf(d->out, "<path class=\"line\" stroke-width=\"0.5\" d=\"M%d %.1fH%d\"/>\n",
				LEFT, d->top + d->pitch * (double)lane, RIGHT);
}

/* A round number of nanoseconds that is at least @least apart on the run. */
static uint64_t tick_step(const struct run *run, double least)
{
	double ns = (double)(run->to_ns - run->from_ns) * least / (run->to_x - run->from_x);
	double step = pow(10, floor(log10(ns > 1 ? ns : 1)));

	if (step < ns)
		step *= step * 2 >= ns ? 2 : step * 5 >= ns ? 5 : 10;
	return (uint64_t)step;
}

/* The first time of a run that is a whole number of steps from zero. */
static uint64_t first_tick(uint64_t from_ns, uint64_t zero_ns, uint64_t step)
{
	if (from_ns <= zero_ns)
		return zero_ns - (zero_ns - from_ns) / step * step;
	return from_ns + (step - (from_ns - zero_ns) % step) % step;
}

static double since(uint64_t time_ns, uint64_t zero_ns)
{
	return time_ns >= zero_ns ? (double)(time_ns - zero_ns) : -(double)(zero_ns - time_ns);
}

static void tick(const struct drawing *d, double x, double ns, double step_ns, double *free_from)
{
	char words[32];
	double half;

	time_text(ns, step_ns, words, sizeof(words));
	half = LETTER * (double)strlen(words) / 2;
	fprintf(d->out, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>\n", x, d->top, d->bottom + 6);
	if (x - half < *free_from)
		return;
	text(d->out, x, d->bottom + 21, "text-anchor=\"middle\"", "%s", words);
	*free_from = x + half + 8;
}

static void draw_time_axis(const struct drawing *d)
{
	double free_from = LEFT - 30;

	for (unsigned i = 0; i < d->axis.count; i++) {
		const struct run *run = &d->axis.runs[i];
		uint64_t zero_ns = d->picture->zero_ns, step = tick_step(run, TICK_LEAST);
		uint64_t at = first_tick(run->from_ns, zero_ns, step);

		/* too short for a round number: where it begins */
		if (at > run->to_ns || at < run->from_ns) {
			tick(d, run->from_x, since(run->from_ns, zero_ns),
			     (double)(run->to_ns - run->from_ns) / 10 + 1, &free_from);
			continue;
		}
		for (;; at += step) {
			tick(d, axis_place(&d->axis, at), since(at, zero_ns), (double)step,
			     &free_from);
			if (run->to_ns - at < step)
				break;
		}
	}
	text(d->out, (LEFT + RIGHT) / 2.0, d->bottom + 45, "class=\"dim\" text-anchor=\"middle\"",
	     d->axis.count > 1 ? "time (each part to a scale of its own; what is empty is cut out)"
			       : "time");
}

static void draw_breaks(const struct drawing *d)
{
	for (unsigned i = 1; i < d->axis.count; i++) {
		double from = d->axis.runs[i - 1].to_x, to = d->axis.runs[i].from_x;
		double ns = (double)(d->axis.runs[i].from_ns - d->axis.runs[i - 1].to_ns);
		double x[] = {from + 19, to - 19};
		char words[32];

		fprintf(d->out, "<path class=\"gap\" d=\"M%.1f %.1fH%.1fV%.1fH%.1fz\"/>\n", x[0],
			d->top - 1, x[1], d->bottom + 1, x[0]);
		for (unsigned side = 0; side < 2; side++) {
			fprintf(d->out, "<path class=\"tear\" d=\"M%.1f %.1f", x[side], d->top - 1);
			for (double y = d->top + 5; y < d->bottom; y += 12)
				fprintf(d->out, "l3 6l-3 6");
			fprintf(d->out, "\"/>\n");
		}
		time_text(ns, ns / 100, words, sizeof(words));
		fprintf(d->out, "<text transform=\"translate(%.1f %.1f) rotate(-90)\" "
				"text-anchor=\"middle\">%s</text>\n",
			(from + to) / 2 + 6, (d->top + d->bottom) / 2, words);
	}
}

/* ---- what happened to connections ---- */

struct label {
	double x;
	unsigned row, count;
	char words[96];
};

/* The one at the same place with the same words, or NULL. */
static struct label *same_label(struct label *labels, size_t count, const struct label *wanted)
{
	while (count--)
		if (wanted->x - labels[count].x < 60 &&
		    strcmp(labels[count].words, wanted->words) == 0)
			return &labels[count];
	return NULL;
}

/* One for each thing that happened at one place; the same words again are counted, and what does
 * not fit as well. */
static size_t collect_labels(struct drawing *d, struct label *labels, size_t most)
{
	struct label label, *same;
	size_t count = 0;

	for (size_t i = 0; i < d->trace->count; i++) {
		const struct zcreq_trace_event *event = &d->trace->events[i];

		if (!shown_news(d, event))
			continue;
		label = (struct label){.x = axis_place(&d->axis, event->time_ns), .count = 1};
		trace_news(event, label.words, sizeof(label.words));
		same = same_label(labels, count, &label);
		if (same)
			same->count++;
		else if (count < most)
			labels[count++] = label;
		else
			d->untold++;
	}
	return count;
}

static double label_width(const struct label *label)
{
	return LETTER * (double)(strlen(label->words) + (label->count > 1 ? 5 : 0)) + 12;
}

/* Near the right edge a label stands on the left of its line. */
static bool on_the_left(const struct label *label)
{
	return label->x + label_width(label) > WIDTH - 4;
}

static double words_from(const struct label *label)
{
	return on_the_left(label) ? label->x - label_width(label) : label->x;
}

static double words_to(const struct label *label)
{
	return on_the_left(label) ? label->x : label->x + label_width(label);
}

/* The line of @a, which goes down from its row: does it cross the words of @b? */
static bool crosses(const struct label *a, const struct label *b)
{
	return a->row <= b->row && a->x > words_from(b) && a->x < words_to(b);
}

static bool touches(const struct label *a, const struct label *b)
{
	return a->row == b->row && words_from(a) < words_to(b) && words_from(b) < words_to(a);
}

static bool is_clear(const struct label *labels, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (labels[j].row < ROWS &&
		    (crosses(&labels[i], &labels[j]) || crosses(&labels[j], &labels[i]) ||
		     touches(&labels[i], &labels[j])))
			return false;
	return true;
}

/*
 * The first row in which it can be read, or ROWS: then there is only the tooltip. From
 * above for words on the right of their line, so that there is room for lines further
 * on; from below for those on the left.
 */
static void find_row(struct label *labels, size_t i)
{
	for (unsigned n = 0; n < ROWS; n++) {
		labels[i].row = on_the_left(&labels[i]) ? ROWS - 1 - n : n;
		if (is_clear(labels, i))
			return;
	}
	labels[i].row = ROWS;
}

/* Gives each a row, without empty ones between; returns how many there are. */
static unsigned give_rows(struct label *labels, size_t count)
{
	unsigned used[ROWS + 1] = {0}, rows = 0;

	for (size_t i = 0; i < count; i++) {
		find_row(labels, i);
		used[labels[i].row] = 1;
	}
	for (unsigned row = 0; row < ROWS; row++)
		used[row] = used[row] ? rows++ : 0;
	for (size_t i = 0; i < count; i++)
		if (labels[i].row < ROWS)
			labels[i].row = used[labels[i].row];
	return rows;
}

static void draw_label(const struct drawing *d, const struct label *label)
{
	double y = LABELS + ROW * ((double)label->row + 1) - 4;
	bool left = on_the_left(label);

	fprintf(d->out, "<path class=\"line\" stroke-width=\"1.3\" d=\"M%.1f %.1fV%.1f\"><title>",
		label->x, label->row < ROWS ? y - 10 : d->top - 4, d->bottom + 4);
	escaped(d->out, label->words);
	fprintf(d->out, "</title></path>\n");
	if (label->row == ROWS)
		return;
	if (label->count > 1)
		text(d->out, label->x + (left ? -5 : 5), y, left ? "text-anchor=\"end\"" : "",
		     "%s (×%u)", label->words, label->count);
	else
		text(d->out, label->x + (left ? -5 : 5), y, left ? "text-anchor=\"end\"" : "", "%s",
		     label->words);
}

#define LABELS_MOST 64

/* ---- the whole ---- */

static double plot_height(size_t lanes)
{
	if (lanes <= 40)
		return 13.0 * (double)(lanes ? lanes : 1);
	return lanes <= 1000 ? 520 + 380 * (double)(lanes - 40) / 960 : 900;
}

static void draw_all(struct drawing *d)
{
	struct label labels[LABELS_MOST];
	size_t label_count = collect_labels(d, labels, LABELS_MOST);
	const char *title = d->picture->title ? d->picture->title : "zcreq trace";
	double height;

	d->rows = give_rows(labels, label_count);
	d->top = LABELS + ROW * d->rows + 4;
	d->bottom = d->top + plot_height(d->lane_count);
	d->pitch = (d->bottom - d->top) / (double)(d->lane_count ? d->lane_count : 1);
	height = d->bottom + AXIS;
	fprintf(d->out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
			"viewBox=\"0 0 %d %.0f\" role=\"img\">\n<title>", WIDTH, height, WIDTH, height);
	escaped(d->out, title);
	fprintf(d->out, "</title>\n%s<rect class=\"ground\" x=\"0.5\" y=\"0.5\" width=\"%d\" "
			"height=\"%.0f\" rx=\"8\"/>\n", style, WIDTH - 1, height - 1);
	fprintf(d->out, "<rect class=\"plot\" x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\"/>\n",
		LEFT, d->top, RIGHT - LEFT, d->bottom - d->top);
	draw_heading(d);
	draw_legend(d);
	draw_time_axis(d);
	draw_lanes(d);
	draw_breaks(d);
	draw_lane_axis(d);
	for (size_t i = 0; i < label_count; i++)
		draw_label(d, &labels[i]);
	fprintf(d->out, "</svg>\n");
}

bool trace_svg(FILE *out, const struct trace *trace, const struct lives *lives,
	       const struct picture *picture)
{
	struct drawing d = {.out = out, .trace = trace, .lives = lives, .picture = picture};
	bool ready = give_lanes(&d) && place_time(&d);

	if (ready)
		draw_all(&d);
	free(d.lane);
	free(d.shown);
	return ready;
}
