/* SPDX-License-Identifier: BSD-2-Clause */
/* hello.cc - hello.c in C++: the buffer belongs to the completion, and goes with it */
#include <cstdio>
#include <memory>
#include <vector>

#include <zcreq/zcreq.hpp>

extern "C" {
#include "scaffold.h" /* check(), connect_pair(), read_away() */
}

static void send_hello(zcreq::connection &connection)
{
	auto buffer = std::make_unique<std::vector<char>>(1 << 20);
	const iovec iov = {buffer->data(), buffer->size()};

	check("send", connection.send(&iov, 1, [buffer = std::move(buffer)](int status) {
		std::printf("released, status %d: %zu bytes are ours again\n", status, buffer->size());
	}));
}

int main()
{
	zcreq::context context;
	zcreq_stream_options options{};
	int fds[2];

	connect_pair(fds);
	options.fd = fds[0];
	options.stall_ms = 500;
	zcreq::connection connection(context, options);
	send_hello(connection);
	check("drain", connection.drain(0));
	for (;;) {
		const uint64_t now_ns = zcreq_now_ns(), deadline_ns = context.turn(now_ns);
		pollfd ready[] = {{context.fd(), POLLIN, 0}, {fds[1], POLLIN, 0}};

		if (connection.state() == ZCREQ_CONN_CLOSED)
			return 0;
		poll(ready, 2, zcreq_timeout_ms(deadline_ns, now_ns));
		if (ready[1].revents && !read_away(fds[1]))
			fds[1] = -1; /* its end: nothing more to poll for */
	}
}
