/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_glib.c - GLib: a GSource that turns before the main context sleeps
 */
#include "loops/loop.h"

#ifdef HAVE_GLIB
#include <glib-unix.h>
#include <glib.h>

#include "real/real.h"

struct turning {
	GSource source;
	struct loop *loop;
};

static GMainContext *main_context;
static GSource *turning, *other;

/* Before each sleep, however the one before has ended. */
static gboolean prepare(GSource *source, gint *timeout_ms)
{
	struct loop *loop = ((struct turning *)source)->loop;
	uint64_t now_ns = zcreq_now_ns();

	*timeout_ms = 0;
	if (!loop->expired)
		*timeout_ms = zcreq_timeout_ms(zcreq_turn(loop->context, now_ns), now_ns);
	if (loop->expired || loop->done())
		*timeout_ms = 0;
	return FALSE;
}

/* To be awake is all that is wanted. */
static gboolean check(GSource *source)
{
	(void)source;
	return FALSE;
}

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
	(void)source;
	(void)callback;
	(void)data;
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs functions = {.prepare = prepare, .check = check, .dispatch = dispatch};

static void start(struct loop *loop)
{
	main_context = g_main_context_new();
	turning = g_source_new(&functions, sizeof(struct turning));
	((struct turning *)turning)->loop = loop;
	g_source_add_unix_fd(turning, zcreq_context_fd(loop->context), G_IO_IN);
	g_source_attach(turning, main_context);
}

static gboolean on_other(gint fd, GIOCondition condition, gpointer arg)
{
	struct loop *loop = arg;

	(void)fd;
	(void)condition;
	loop->readable();
	return G_SOURCE_CONTINUE;
}

static void reading(struct loop *loop)
{
	if (loop->reads) {
		other = g_unix_fd_source_new(loop->read_fd, G_IO_IN);
		g_source_set_callback(other, G_SOURCE_FUNC(on_other), loop, NULL);
		g_source_attach(other, main_context);
	} else if (other) {
		g_source_destroy(other);
		g_source_unref(other);
		other = NULL;
	}
}

static gboolean on_limit(gpointer arg)
{
	struct loop *loop = arg;

	loop->expired = true;
	return G_SOURCE_REMOVE;
}

static void run(struct loop *loop, int ms)
{
	GSource *limit = g_timeout_source_new((guint)ms);

	loop->expired = false;
	g_source_set_callback(limit, on_limit, loop, NULL);
	g_source_attach(limit, main_context);
	do
		g_main_context_iteration(main_context, TRUE);
	while (!loop->expired && !loop->done());
	g_source_destroy(limit);
	g_source_unref(limit);
}

static void stop(struct loop *loop)
{
	loop->reads = false;
	reading(loop);
	g_source_destroy(turning);
	g_source_unref(turning);
	g_main_context_unref(main_context);
}

static const struct loop_driver by_glib = {
	.name = "GLib",
	.start = start,
	.reading = reading,
	.run = run,
	.stop = stop,
};

int main(void)
{
	static const struct loop_driver *const drivers[] = {&by_glib, NULL};

	return real_run(loop_suite("GLib", drivers), NULL);
}
#else
int main(void)
{
	return loop_missing("GLib", "libglib2.0-dev");
}
#endif
