/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http-ev.c - the same server in a libev loop: http-ev FOLDER [ADDRESS:]PORT
 *
 * New: somebody else's loop. zcreq_ev_new() ties the context to it; there is no turn to
 * call, no deadline and no descriptor to watch. What is left of the program are its own
 * watchers. The tie keeps ev_run() going, so untying it is how the program ends.
 */
#include <ev.h>
#include <stdio.h>
#include <unistd.h>

#include <zcreq/ev.h>

#include "http.h"
#include "scaffold.h"

static struct http http;
static struct zcreq_ev *tie;
static ev_io listening, quitting;

static void accept_all(struct ev_loop *loop, ev_io *watcher, int revents)
{
	int fd;

	(void)loop;
	(void)revents;
	while ((fd = accept_one(watcher->fd)) >= 0)
		http_serve(&http, fd);
}

static void stop(struct ev_loop *loop, ev_io *watcher, int revents)
{
	(void)revents;
	quit_heard(watcher->fd);
	ev_io_stop(loop, &listening);
	ev_io_stop(loop, &quitting);
	http_stop(&http);
}

/* Legal inside a callback, as everything is. */
static void over(struct http *server)
{
	(void)server;
	zcreq_ev_free(tie);
}

int main(int argc, char **argv)
{
	struct ev_loop *loop = ev_default_loop(0);
	struct zcreq_context *context;

	if (argc != 3 || !loop) {
		fprintf(stderr, "usage: http-ev FOLDER [ADDRESS:]PORT\n");
		return 2;
	}
	check("context", zcreq_context_new(NULL, &context));
	check("loop", zcreq_ev_new(loop, context, &tie));
	check(argv[1], http_init(&http, context, zcreq_stream_open, argv[1]));
	http.over = over;
	ev_io_init(&quitting, stop, quit_fd(), EV_READ);
	ev_io_start(loop, &quitting);
	ev_io_init(&listening, accept_all, listen_on(argv[2]), EV_READ);
	ev_io_start(loop, &listening);

	ev_run(loop, 0);

	http_deinit(&http);
	check("context", zcreq_context_free(context));
	close(listening.fd);
	close(quitting.fd);
	ev_loop_destroy(loop);
	return 0;
}
