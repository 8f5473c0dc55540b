/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plot.c - tables of the benchmarks as pictures: cost against number in flight
 *
 *	plot cost|time|reclaim|gain|gain-loopback|gain-veth <TABLE >PICTURE.svg
 *
 * Reads lines of key=value words, as every program here prints them, and writes an
 * SVG; measures nothing. Both axes are logarithmic. A line begins at 1 in flight, or at
 * the smallest size. Colours are from the palette of Okabe and Ito, every series has a mark of
 * its own shape and its name beside its end: nothing depends on hue alone. The
 * picture has a ground of its own; one that is shown in dark mode turns dark.
 */
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	HEIGHT = 440,
	TOP = 108,
	BOTTOM = 376,
	LEFT = 102,	/* of the first panel */
	NAMES = 140,	/* room at the right of each panel */
	GAP = 76,	/* before the next panel's axis */
	WIDTH = 1000,
	APART = 17,	/* between two names, at least */
};

#define SERIES_MOST 4
#define PANELS_MOST 2
#define POINTS_MOST 64
#define LINE_MOST 1024

struct series {
	const char *value, *name; /* of the series key; in words */
};

struct chart {
	const char *name, *heading, *remark, *remark2;
	const char *bench;        /* lines of this benchmark */
	const char *only_key, *only; /* of these, those with this word; or NULL */
	const char *x_key, *x_words; /* NULL: in flight */
	const char *panel_key, *series_key, *y_key;
	const char *y_words;
	double low, high;         /* of y, decades */
	double limit;             /* a line across, or 0 */
	const char *limit_words;
	int look;                 /* of the first series: its colour and mark */
	struct series panels[PANELS_MOST];
	struct series series[SERIES_MOST];
};

#define DESIGNS { \
	{"list", "list (SPDK)"}, {"map", "map (gRPC)"}, {"maps", "two maps (folly)"}, \
	{"zcreq", "zcreq"}, \
}
#define ORDERS { \
	{"fifo", "notifications in order"}, \
	{"reverse", "newest first, as a connection dies"}, \
}

#define PAGES { {"4k", "pages of 4 KiB"}, {"huge", "huge pages"} }
#define WAYS { \
	{"send", "send(2)"}, {"zerocopy", "MSG_ZEROCOPY"}, {"auto", "zcreq, mode auto"}, \
	{"auto+batch", "auto, in batches"}, \
}
#define GAIN(which, path, whom, other) { \
	.name = which, .heading = "What a KiB costs " whom, \
	.remark = "Nanoseconds of a processor for each KiB, by the size of one send. With zcreq " \
		  "each send is a call of its own, or as many", \
	.remark2 = "leave together as wait for it. " other, \
	.bench = "gain", .only_key = "path", .only = path, .panel_key = "pages", \
	.series_key = "way", .x_key = "bytes", .x_words = "bytes of a send", \
	.y_key = "cpu_ns_per_kib", .y_words = "ns for each KiB", .low = 10, .high = 1e5, \
	.panels = PAGES, .series = WAYS, \
}

static const struct chart charts[] = {
	GAIN("gain", "acker", "the sender, where nobody copies", "The other side is on the other core."),
	GAIN("gain-loopback", "loopback", "both ends of loopback", "Both are on one core."),
	GAIN("gain-veth", "veth", "both ends of a veth pair", "Both are on one core."),
	{
		.name = "cost",
		.heading = "What one request costs: instructions",
		.remark = "From the send to the release, over a socket that costs nothing. The other "
			  "designs are re-implemented from their",
		.remark2 = "descriptions and do nothing but their bookkeeping; zcreq does all that "
			   "it does for a request.",
		.bench = "bookkeeping", .panel_key = "order", .series_key = "design",
		.y_key = "instructions", .y_words = "instructions", .low = 10, .high = 1e6,
		.panels = ORDERS, .series = DESIGNS,
	},
	{
		.name = "time",
		.heading = "What one request costs: nanoseconds",
		.remark = "From the send to the release, over a socket that costs nothing. The other "
			  "designs are re-implemented from their",
		.remark2 = "descriptions and do nothing but their bookkeeping; zcreq does all that "
			   "it does for a request.",
		.bench = "bookkeeping", .panel_key = "order", .series_key = "design",
		.y_key = "ns", .y_words = "ns", .low = 1, .high = 1e6,
		.panels = ORDERS, .series = DESIGNS,
	},
	{
		.name = "reclaim",
		.heading = "From an abort to the last buffer",
		.remark = "A real connection whose packets reach nobody: all of it is in flight. "
			  "Sends of 512 bytes, one request each,",
		.remark2 = "until the last released callback has run.",
		.bench = "reclaim", .series_key = "call", .y_key = "last_us",
		.y_words = "microseconds", .low = 1, .high = 1e5,
		.limit = 20000, .limit_words = "the aim: at most 20 ms for 100 000",
		.look = 2, .series = {{"1", "an id each"}, {"1000", "1 000 in a call"}},
	},
};

struct point {
	double x, y;
};

struct line {
	struct point points[POINTS_MOST];
	unsigned count;
};

static struct line lines[PANELS_MOST][SERIES_MOST];

static const char style[] =
	"<style>\n"
	"text{font-family:-apple-system,'Segoe UI',Roboto,'DejaVu Sans',Arial,sans-serif;"
	"font-size:13px;fill:#1f2328}\n"
	".h1{font-size:21px;font-weight:600}.big{font-size:15px;font-weight:600}\n"
	".dim{fill:#59636e}.ground{fill:#ffffff;stroke:#d1d9e0}.panel{fill:#f3f5f7}\n"
	".grid{stroke:#d5dbe1}.limit{stroke:#59636e;stroke-dasharray:5 4}\n"
	".line{fill:none;stroke-width:2}\n"
	".s0{stroke:#d55e00}.s1{stroke:#e69f00}.s2{stroke:#009e73}.s3{stroke:#0072b2}\n"
	".m0{fill:#d55e00}.m1{fill:#e69f00}.m2{fill:#009e73}.m3{fill:#0072b2}\n"
	"@media (prefers-color-scheme:dark){\n"
	"text{fill:#e6edf3}.dim{fill:#9aa4af}.ground{fill:#0d1117;stroke:#3d444d}\n"
	".panel{fill:#1a2027}.grid{stroke:#343c46}.limit{stroke:#9aa4af}\n"
	".s3{stroke:#3f9fdc}.m3{fill:#3f9fdc}}\n"
	"</style>\n";

/* A mark for each series, around 0,0. */
static const char *const marks[SERIES_MOST] = {
	"M-5 4.5L0 -5.5L5 4.5z", "M-4.2 -4.2h8.4v8.4h-8.4z", "M0 -6L6 0L0 6L-6 0z",
	"M-4.8 0a4.8 4.8 0 1 0 9.6 0a4.8 4.8 0 1 0 -9.6 0z",
};

/* ---- from words to points ---- */

/* The value of a word of the line, up to its end; NULL if there is none. */
static const char *value_of(const char *line, const char *key, char *value, size_t size)
{
	size_t len = strlen(key);
	const char *at = line;

	while ((at = strstr(at, key)) && !((at == line || at[-1] == ' ') && at[len] == '='))
		at += len;
	if (!at)
		return NULL;
	at += len + 1;
	len = strcspn(at, " \n");
	if (len >= size)
		return NULL;
	memcpy(value, at, len);
	value[len] = '\0';
	return value;
}

/* The place of the line's word among what is named; 0 if the chart has no such key. */
static int place_among(const struct series *named, unsigned most, const char *line, const char *key)
{
	char value[64];

	if (!key)
		return 0;
	if (!value_of(line, key, value, sizeof(value)))
		return -1;
	for (unsigned i = 0; i < most && named[i].value; i++) {
		if (!strcmp(named[i].value, value))
			return (int)i;
	}
	return -1;
}

static void take(const struct chart *chart, const char *text)
{
	int panel = place_among(chart->panels, PANELS_MOST, text, chart->panel_key);
	int series = place_among(chart->series, SERIES_MOST, text, chart->series_key);
	const char *x_key = chart->x_key ? chart->x_key : "inflight";
	char bench[64], x[64], y[64], only[64];
	struct line *line;

	if (chart->only && (!value_of(text, chart->only_key, only, sizeof(only)) ||
			    strcmp(only, chart->only)))
		return;

	if (!value_of(text, "bench", bench, sizeof(bench)) || strcmp(bench, chart->bench) ||
	    panel < 0 || series < 0 || !value_of(text, x_key, x, sizeof(x)) ||
	    !value_of(text, chart->y_key, y, sizeof(y)))
		return;
	line = &lines[panel][series];
	if (line->count < POINTS_MOST)
		line->points[line->count++] = (struct point){atof(x), atof(y)};
}

/* ---- from points to places ---- */

struct frame {
	const struct chart *chart;
	double left, right; /* of the panel */
	double least, most; /* x, at the edges */
};

static double across(const struct frame *f, double x)
{
	return f->left + 14 + (f->right - f->left - 28) * log10(x / f->least) /
				 log10(f->most / f->least);
}

static double down(const struct frame *f, double y)
{
	double share = log10(y / f->chart->low) / log10(f->chart->high / f->chart->low);

	return BOTTOM - (BOTTOM - TOP) * share;
}

static __attribute__((format(printf, 4, 5))) void
text(double x, double y, const char *attributes, const char *format, ...)
{
	va_list args;

	printf("<text x=\"%.0f\" y=\"%.0f\" %s>", x, y, attributes);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("</text>\n");
}

/* A whole number with its thousands apart. */
static const char *number(double value)
{
	static char out[32];
	char digits[16];
	int len = snprintf(digits, sizeof(digits), "%.0f", value), n = 0;

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			n += snprintf(out + n, sizeof(out) - (size_t)n, " ");
		out[n++] = digits[i];
	}
	out[n] = '\0';
	return out;
}

/* Of a size, if there is room for one: each fourth doubling is named. */
static const char *size(double bytes)
{
	static char out[16];
	const bool large = bytes >= 1 << 20;
	double value = bytes / (large ? 1 << 20 : 1 << 10);

	out[0] = '\0';
	if (fmod(log2(value), 2) == 0)
		snprintf(out, sizeof(out), "%.0f%c", value, large ? 'M' : 'K');
	return out;
}

static void draw_axes(const struct frame *f, const struct line *longest, int first)
{
	const struct chart *chart = f->chart;

	printf("<rect class=\"panel\" x=\"%.0f\" y=\"%d\" width=\"%.0f\" height=\"%d\"/>\n", f->left,
	       TOP, f->right - f->left, BOTTOM - TOP);
	for (double y = chart->low; y < chart->high * 1.01; y *= 10) {
		printf("<path class=\"grid\" d=\"M%.0f %.1fH%.0f\"/>\n", f->left, down(f, y), f->right);
		text(f->left - 8, down(f, y) + 4, "text-anchor=\"end\"", "%s", number(y));
	}
	for (unsigned i = 0; i < longest->count; i++) {
		double x = across(f, longest->points[i].x);

		printf("<path class=\"grid\" d=\"M%.1f %dV%d\"/>\n", x, TOP, BOTTOM + 5);
		text(x, BOTTOM + 21, "text-anchor=\"middle\"", "%s",
		     chart->x_key ? size(longest->points[i].x) : number(longest->points[i].x));
	}
	text((f->left + f->right) / 2, BOTTOM + 43, "class=\"dim\" text-anchor=\"middle\"",
	     "%s", chart->x_words ? chart->x_words : "requests in flight");
	if (first)
		printf("<text class=\"dim\" text-anchor=\"middle\" transform=\"translate(24 %d) "
		       "rotate(-90)\">%s</text>\n", (TOP + BOTTOM) / 2, chart->y_words);
	if (chart->limit > 0) {
		printf("<path class=\"limit\" d=\"M%.0f %.1fH%.0f\"/>\n", f->left,
		       down(f, chart->limit), f->right);
		text(f->left + 10, down(f, chart->limit) - 6, "class=\"dim\"", "%s",
		     chart->limit_words);
	}
}

static void draw_line(const struct frame *f, const struct line *line, int look)
{
	printf("<path class=\"line s%d\" d=\"", look);
	for (unsigned i = 0; i < line->count; i++)
		printf("%c%.1f %.1f", i ? 'L' : 'M', across(f, line->points[i].x),
		       down(f, line->points[i].y));
	printf("\"/>\n");
	for (unsigned i = 0; i < line->count; i++)
		printf("<path class=\"m%d\" transform=\"translate(%.1f %.1f)\" d=\"%s\"/>\n", look,
		       across(f, line->points[i].x), down(f, line->points[i].y), marks[look]);
}

/* The names beside the ends of their lines, pushed down where they would touch. */
static void draw_names(const struct frame *f, const struct line *of)
{
	double last = TOP - APART;
	int order[SERIES_MOST], count = 0;

	for (int i = 0; i < SERIES_MOST; i++) {
		int at = count;

		if (!of[i].count)
			continue;
		for (; at && of[order[at - 1]].points[of[order[at - 1]].count - 1].y <
			     of[i].points[of[i].count - 1].y; at--)
			order[at] = order[at - 1];
		order[at] = i;
		count++;
	}
	for (int i = 0; i < count; i++) {
		const struct series *series = &f->chart->series[order[i]];
		const struct line *line = &of[order[i]];
		double y = fmax(down(f, line->points[line->count - 1].y), last + APART);
		int look = (f->chart->look + order[i]) % SERIES_MOST;

		printf("<path class=\"m%d\" transform=\"translate(%.1f %.1f)\" d=\"%s\"/>\n", look,
		       f->right + 14, y, marks[look]);
		text(f->right + 25, y + 4, strncmp(series->name, "zcreq", 5) ? "" : "class=\"big\"", "%s",
		     series->name);
		last = y;
	}
}

static void draw_panel(const struct chart *chart, int panel, int panels)
{
	double each = (WIDTH - LEFT - NAMES - (panels - 1) * (NAMES + GAP)) / (double)panels;
	double left = LEFT + panel * (each + NAMES + GAP);
	struct frame f = {chart, left, left + each, 1, 10};
	const struct line *longest = &lines[panel][0];

	for (int i = 0; i < SERIES_MOST; i++) {
		const struct line *line = &lines[panel][i];

		if (line->count > longest->count)
			longest = line;
		for (unsigned p = 0; p < line->count; p++)
			f.most = fmax(f.most, line->points[p].x);
		if (chart->x_key && line->count)
			f.least = line->points[0].x;
	}
	draw_axes(&f, longest, panel == 0);
	if (chart->panel_key)
		text(left, TOP - 8, "class=\"big\"", "%s", chart->panels[panel].name);
	for (int i = 0; i < SERIES_MOST; i++)
		draw_line(&f, &lines[panel][i], (chart->look + i) % SERIES_MOST);
	draw_names(&f, lines[panel]);
}

static void draw(const struct chart *chart)
{
	int panels = 1;

	while (chart->panel_key && panels < PANELS_MOST && chart->panels[panels].value)
		panels++;
	printf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
	       "viewBox=\"0 0 %d %d\" role=\"img\">\n<title>%s</title>\n%s", WIDTH, HEIGHT, WIDTH,
	       HEIGHT, chart->heading, style);
	printf("<rect class=\"ground\" x=\"0.5\" y=\"0.5\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n",
	       WIDTH - 1, HEIGHT - 1);
	text(24, 34, "class=\"h1\"", "%s", chart->heading);
	text(24, 57, "class=\"dim\"", "%s", chart->remark);
	text(24, 75, "class=\"dim\"", "%s", chart->remark2);
	for (int panel = 0; panel < panels; panel++)
		draw_panel(chart, panel, panels);
	printf("</svg>\n");
}

int main(int argc, char **argv)
{
	const struct chart *chart = NULL;
	char text_line[LINE_MOST];

	for (unsigned i = 0; argc == 2 && i < sizeof(charts) / sizeof(*charts); i++) {
		if (!strcmp(argv[1], charts[i].name))
			chart = &charts[i];
	}
	if (!chart) {
		fprintf(stderr, "usage: plot cost|time|reclaim|gain|gain-loopback|gain-veth "
				"<TABLE >PICTURE.svg\n");
		return 2;
	}
	while (fgets(text_line, sizeof(text_line), stdin))
		take(chart, text_line);
	for (int i = 0; i < SERIES_MOST && chart->series[i].value; i++) {
		if (!lines[0][i].count) {
			fprintf(stderr, "plot: the table has nothing of %s\n", chart->series[i].name);
			return 1;
		}
	}
	draw(chart);
	return fflush(stdout) ? 1 : 0;
}
