/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http-epoll.c - an HTTP file server on epoll: http-epoll FOLDER [ADDRESS:]PORT
 *
 * New: a server. The loop knows three descriptors, however many clients there are: one of
 * the context stands for all of them. It sleeps, serves what is its own, and turns;
 * everything else comes from zcreq_turn() as a call of a hook, in http.c.
 */
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "http.h"
#include "scaffold.h"

static void watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		perror("http-epoll: epoll_ctl");
}

static void accept_all(struct http *http, int listener)
{
	int fd;

	while ((fd = accept_one(listener)) >= 0)
		http_serve(http, fd);
}

int main(int argc, char **argv)
{
	int quit, listener, epoll = epoll_create1(EPOLL_CLOEXEC), n;
	struct epoll_event events[3];
	struct zcreq_context *context;
	struct http http;

	if (argc != 3 || epoll < 0) {
		fprintf(stderr, "usage: http-epoll FOLDER [ADDRESS:]PORT\n");
		return 2;
	}
	quit = quit_fd();
	check("context", zcreq_context_new(NULL, &context));
	check("descriptor", zcreq_context_fd(context));
	check(argv[1], http_init(&http, context, zcreq_stream_open, argv[1]));
	listener = listen_on(argv[2]);
	watch(epoll, zcreq_context_fd(context));
	watch(epoll, listener);
	watch(epoll, quit);

	for (;;) {
		uint64_t now_ns = zcreq_now_ns(), deadline_ns = zcreq_turn(context, now_ns);

		if (http.state == HTTP_OVER)
			break;
		n = epoll_wait(epoll, events, 3, zcreq_timeout_ms(deadline_ns, now_ns));
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener) {
				accept_all(&http, listener);
			} else if (events[i].data.fd == quit) {
				quit_heard(quit);
				epoll_ctl(epoll, EPOLL_CTL_DEL, listener, NULL);
				http_stop(&http);
			} /* else the context's, which the next turn serves */
		}
	}
	http_deinit(&http);
	check("context", zcreq_context_free(context));
	close(listener);
	close(epoll);
	close(quit);
	return 0;
}
