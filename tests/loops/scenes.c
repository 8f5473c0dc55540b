/* SPDX-License-Identifier: BSD-2-Clause */
#include "loops/scenes.h"

#include <sys/socket.h>
#include <unistd.h>

#include "loops/late.h"
#include "real/real.h"
#include "support/witness.h"

#define ARENA_BYTES (8 << 20)
#define EXIT_SKIPPED 77

#define MARGIN_MS 50
#define DOUBTED_MS 100 /* so late is a look that is repeated, after as long */

struct load load;
unsigned scene_closed;

static struct loop loop;
static const struct loop_driver *const *drivers;
static const struct loop_driver *driver;
static struct zcreq_conn *extra[SCENE_EXTRA];
static int extra_far[SCENE_EXTRA];
static unsigned extra_count;
static uint64_t closed_ns;

/* ---- which loop ---- */

int scene_loops(void)
{
	int count = 0;

	while (drivers[count])
		count++;
	return count;
}

int scene_pick(int i)
{
	driver = drivers[i % scene_loops()];
	return i / scene_loops();
}

const char *scene_loop(void)
{
	return driver->name;
}

/* ---- what has happened, and what is heard ---- */

static uint64_t progress(void)
{
	struct zcreq_stats stats = load_stats(&load);

	return stats.begun + stats.released + stats.aborted + stats.sent_bytes +
	       stats.zerocopy_batches + stats.copied_batches + stats.notifications +
	       stats.foreign_messages + stats.connections_aborted + stats.stalled_vanished +
	       stats.stalled_not_reading + stats.stalled_congested + load.settled + load.rooms +
	       load.closes + load.aborts + load.received_bytes + load.far_ended +
	       (load.far_error != 0) + scene_closed;
}

static void extra_is_closed(struct zcreq_conn *conn, int status, void *arg)
{
	(void)conn;
	(void)status;
	(void)arg;
	scene_closed++;
}

static const struct zcreq_conn_hooks extra_hooks = {.closed = extra_is_closed};

static void note_time(struct load *l)
{
	(void)l;
	closed_ns = zcreq_now_ns();
}

static void far_readable(void)
{
	load_read(&load, 1 << 20);
	if (load_far_over(&load))
		scene_reading(false);
}

/* ---- from the beginning to the end ---- */

static void setup(void)
{
	witness_start(); /* before there is a descriptor that it would keep open */
	load_init(&load, ARENA_BYTES);
}

static void teardown(void)
{
	late.counts = false;
	late.by_ms = 0;
	scene_reading(false);
	driver->stop(&loop);
	for (unsigned i = 0; i < extra_count; i++) {
		zcreq_conn_free(extra[i]);
		close(extra_far[i]);
	}
	load_deinit(&load);
}

void scene_be_late(bool is_late)
{
	late.by_ms = is_late ? SCENE_LATE_MS : 0;
}

void scene_open(const struct net_pair *how, const struct zcreq_stream_options *options)
{
	load.on_closed = note_time;
	load_connect(&load, how, options);
	load.reading = false; /* load.h's own loop does not */
	loop.context = load.context;
	loop.read_fd = load.far;
	loop.readable = far_readable;
	loop.conns[loop.conn_count++] = load.conn;
	driver->start(&loop);
	late.inner = driver->never_sleeps ? -1 : zcreq_context_fd(load.context);
	late.asks_only = driver->never_sleeps;
	late.progress = progress;
}

void scene_open_extra(unsigned count)
{
	struct zcreq_stream_options options = {.size = sizeof(options), .hooks = &extra_hooks};
	const struct net_pair how = {0};

	for (; extra_count < count; extra_count++) {
		ck_ok(net_connect(&load.net, &how, &options.fd, &extra_far[extra_count]));
		ck_ok(zcreq_stream_open(load.context, &options, &extra[extra_count]));
		loop.conns[loop.conn_count++] = extra[extra_count];
	}
}

struct zcreq_conn *scene_extra(unsigned i)
{
	return extra[i];
}

void scene_reading(bool on)
{
	if (on == loop.reads)
		return;
	loop.reads = on;
	driver->reading(&loop);
}

void scene_reset(void)
{
	const struct linger at_once = {1, 0};

	scene_reading(false);
	ck_ok(setsockopt(load.far, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)));
	ck_ok(close(load.far));
	load.far = -1;
}

/* ---- running ---- */

void scene_until(bool (*done)(void), int ms)
{
	loop.done = done;
	late_count();
	driver->run(&loop, ms);
	late.counts = false;
	ck_assert_msg(!loop.expired, "%s: not done in %d ms, after %u wake-ups", driver->name, ms,
		      late.waits);
	ck_assert_msg(driver->never_sleeps || done() == !loop.expired, "%s: the loop has ended", driver->name);
}

static bool never(void)
{
	return false;
}

unsigned scene_rest(int ms)
{
	loop.done = never;
	late_count();
	driver->run(&loop, ms);
	late.counts = false;
	ck_assert(loop.expired);
	/* the last one is the end of the rest */
	say("%s: %u wake-ups in %d ms, %u of them for nothing\n", driver->name, late.waits, ms,
	    late.empty);
	return late.waits;
}

void scene_expect(unsigned most, unsigned most_empty, const char *what)
{
	say("%s: %s%s: %u wake-ups, %u of them for nothing\n", driver->name, what,
	    late.by_ms ? ", late" : "", late.waits, late.empty);
	ck_assert_msg(late.waits <= most && late.empty <= most_empty,
		      "%s: %s: %u wake-ups of %u, %u for nothing of %u", driver->name, what,
		      late.waits, most, late.empty, most_empty);
}

uint64_t scene_clock(void)
{
	witness_lost_ms();
	loop.away_ns = 0;
	return zcreq_now_ns();
}

void scene_expect_closed(uint64_t start_ns, int limit_ms, const char *what)
{
	int took_ms = (int)((closed_ns - start_ns) / SCENE_MS), lost_ms = witness_lost_ms();

	if (driver->never_sleeps)
		lost_ms = (int)(loop.away_ns / SCENE_MS);
	say("%s, %s: over after %d ms, the machine was away for %d\n", driver->name, what,
	    took_ms, lost_ms);
	if (lost_ms >= DOUBTED_MS)
		lost_ms += DOUBTED_MS;
	ck_assert_msg(took_ms <= limit_ms + MARGIN_MS + lost_ms,
		      "%s, %s: over after %d ms; this machine excuses %d", driver->name, what,
		      took_ms, lost_ms);
}

bool scene_released(void)
{
	return load_all_released(&load);
}

bool scene_is_closed(void)
{
	return load_closed(&load);
}

bool scene_over(void)
{
	return load_closed(&load) && load_far_over(&load);
}

/* ---- all of them ---- */

Suite *loop_suite(const char *name, const struct loop_driver *const those[])
{
	Suite *suite = suite_create(name);
	TCase *group = real_group(suite, name, setup, teardown, NULL);

	drivers = those;
	serve_add(group);
	quiet_add(group);
	vanish_add(group);
	return suite;
}

int loop_missing(const char *library, const char *package)
{
	printf("skipped: configure found no %s (%s)\n", library, package);
	return EXIT_SKIPPED;
}
