/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "scaffold.h"

#define REST_NS 100000000 /* where there are no descriptors, and the listener stays readable */

void serve(const struct service *service)
{
	enum { CONTEXT, OWN, QUIT, LISTENER, ALL };
	struct pollfd fds[ALL] = {
		[CONTEXT] = {zcreq_context_fd(service->context), POLLIN, 0},
		[OWN] = {service->ready ? service->fd : -1, POLLIN, 0},
		[QUIT] = {quit_fd(), POLLIN, 0},
		[LISTENER] = {listen_on(service->where), POLLIN, 0},
	};
	const int listener = fds[LISTENER].fd;
	uint64_t rest_ns = 0; /* until when nobody is welcome */
	uint64_t tick_ns = service->tick ? zcreq_now_ns() : ZCREQ_NEVER;
	nfds_t count = ALL; /* one less when it stops: nobody is welcome any more */
	int fd;

	check("descriptor", fds[CONTEXT].fd);
	for (;;) {
		uint64_t now_ns = zcreq_now_ns(), deadline_ns;

		if (now_ns >= tick_ns) {
			service->tick();
			tick_ns = now_ns + service->tick_ms * UINT64_C(1000000);
		}
		deadline_ns = zcreq_turn(service->context, now_ns);
		if (count < ALL && service->over())
			break;
		/* the earliest deadline */
		if (tick_ns < deadline_ns)
			deadline_ns = tick_ns;
		fds[LISTENER].fd = now_ns < rest_ns ? -1 : listener;
		if (now_ns < rest_ns && rest_ns < deadline_ns)
			deadline_ns = rest_ns;
		if (poll(fds, count, zcreq_timeout_ms(deadline_ns, now_ns)) <= 0)
			continue;
		fd = -EAGAIN;
		while (count == ALL && fds[LISTENER].revents && (fd = accept_one(listener)) >= 0)
			service->welcome(fd);
		if (fd != -EAGAIN)
			rest_ns = now_ns + REST_NS;
		if (fds[OWN].revents)
			service->ready();
		if (fds[QUIT].revents) {
			quit_heard(fds[QUIT].fd);
			count = LISTENER;
			service->stop();
		}
	}
	close(listener);
	close(fds[QUIT].fd);
}
