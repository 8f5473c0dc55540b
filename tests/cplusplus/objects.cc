/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * objects.cc - what zcreq.hpp promises, on the kernel's sockets
 *
 * Bytes arrive and buffers come back; a refused completion is as it was; connections and
 * contexts end as the header says; no exception gets into the library. Compiled and run by
 * tests/cplusplus.sh, once for each standard.
 */
#include <zcreq/zcreq.hpp>
#include <zcreq/zcreq.hpp>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLAIM(what) claim((what), #what, __LINE__)

static_assert(!std::is_copy_constructible_v<zcreq::context>);
static_assert(!std::is_copy_assignable_v<zcreq::context>);
static_assert(std::is_nothrow_move_constructible_v<zcreq::context>);
static_assert(!std::is_copy_constructible_v<zcreq::connection>);
static_assert(!std::is_copy_assignable_v<zcreq::connection>);
static_assert(std::is_nothrow_move_constructible_v<zcreq::connection>);

static void claim(bool holds, const char *what, int line)
{
	if (holds)
		return;
	std::fprintf(stderr, "objects.cc:%d: not so: %s\n", line, what);
	std::_Exit(1);
}

/* Two ends of a TCP connection; the second does not wait. */
struct pair_of_ends {
	int ours, theirs;

	pair_of_ends()
	{
		sockaddr_in at{};
		socklen_t len = sizeof(at);
		int listener = socket(AF_INET, SOCK_STREAM, 0);

		at.sin_family = AF_INET;
		at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		CLAIM(bind(listener, reinterpret_cast<sockaddr *>(&at), len) == 0);
		CLAIM(listen(listener, 1) == 0);
		CLAIM(getsockname(listener, reinterpret_cast<sockaddr *>(&at), &len) == 0);
		ours = socket(AF_INET, SOCK_STREAM, 0);
		CLAIM(connect(ours, reinterpret_cast<sockaddr *>(&at), len) == 0);
		theirs = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
		CLAIM(theirs >= 0);
		::close(listener);
	}
	~pair_of_ends() { ::close(theirs); }
	pair_of_ends(const pair_of_ends &) = delete;
	pair_of_ends &operator=(const pair_of_ends &) = delete;

	zcreq_stream_options options() const
	{
		zcreq_stream_options options{};

		options.fd = ours;
		return options;
	}
};

using bytes = std::vector<unsigned char>;

static bytes pattern(size_t size)
{
	bytes made(size);

	for (size_t i = 0; i < size; i++)
		made[i] = static_cast<unsigned char>(i * 131 + (i >> 12));
	return made;
}

static iovec over(bytes &all)
{
	return {all.data(), all.size()};
}

/* Turns, and reads at the other end, until it is so, and then what is left there. */
template <class Until> static bytes served(zcreq::context &context, int theirs, Until until)
{
	bytes got, part(1 << 16);
	const auto read_some = [&] {
		const ssize_t n = read(theirs, part.data(), part.size());

		if (n > 0)
			got.insert(got.end(), part.begin(), part.begin() + n);
		return n > 0;
	};

	while (!until()) {
		const uint64_t now = zcreq_now_ns(), due = context.turn(now);
		pollfd fds[] = {{context.fd(), POLLIN, 0}, {theirs, POLLIN, 0}};

		if (until())
			break;
		poll(fds, 2, zcreq_timeout_ms(due, now));
		read_some();
	}
	while (read_some())
		;
	return got;
}

/* Hears as much as it has member functions for. */
struct owner {
	int ends = 0, aborts = 0, rooms = 0, readables = 0, status = 1;
	zcreq_conn *conn = nullptr;

	void closed(int how) { ends++, status = how; }
	void aborted(int) { aborts++; }
	void room() { rooms++; }
	void readable()
	{
		char some[64];

		readables++;
		CLAIM(recv(zcreq_stream_fd(conn), some, sizeof(some), MSG_DONTWAIT) >= 0);
		CLAIM(zcreq_stream_reading(conn, false) == 0);
	}
};

static void bytes_arrive_and_the_buffer_comes_back_once()
{
	zcreq::context made;
	zcreq::context context(std::move(made));
	pair_of_ends ends;
	auto memory = std::make_unique<bytes>(pattern(1 << 20));
	bytes tail = pattern(5), sent = *memory;
	const iovec iov = over(*memory), more = over(tail);
	int released = 0, added = 0;
	zcreq_id id;

	zcreq::connection first(context, ends.options());
	zcreq::connection connection(std::move(first));
	auto done = [memory = std::move(memory), &released, &sent](int status) {
		CLAIM(status == 0);
		CLAIM(*memory == sent);
		released++;
	};
	CLAIM(connection.send(&iov, 1, std::move(done)) == 0);
	CLAIM(connection.begin([&added](int status) { added += status == 0; }, &id) == 0);
	CLAIM(zcreq_add(context.get(), id, &more, 1, 0) == 0);
	CLAIM(zcreq_finish(context.get(), id, 0) == 0);
	CLAIM(connection.write("end", 3) == 0);
	CLAIM(connection.drain(0) == 0);
	const bytes got = served(context, ends.theirs,
				 [&] { return connection.state() == ZCREQ_CONN_CLOSED; });
	bytes all = sent;
	all.insert(all.end(), tail.begin(), tail.end());
	all.insert(all.end(), {'e', 'n', 'd'});
	CLAIM(got == all);
	CLAIM(released == 1 && added == 1);
}

static void a_refused_completion_is_as_it_was()
{
	zcreq::context context;
	pair_of_ends ends;
	auto options = ends.options();
	bytes large = pattern(1 << 16);
	const iovec iov = over(large);
	auto memory = std::make_unique<int>(7);
	const int *const there = memory.get();
	int released = 0;

	struct keeps {
		std::unique_ptr<int> memory;
		int *released;
		void operator()(int) { *released += *memory; }
	} done{std::move(memory), &released};
	options.limit_bytes = 1 << 16;
	zcreq::connection connection(context, options);
	CLAIM(connection.send(&iov, 1, [&released](int) { released += 100; }) == 0);
	CLAIM(connection.send(&iov, 1, std::move(done)) == -EAGAIN);
	CLAIM(done.memory.get() == there);
	zcreq::connection moved(std::move(connection));
	CLAIM(connection.send(&iov, 1, std::move(done)) == -EINVAL);
	CLAIM(done.memory.get() == there);
	served(context, ends.theirs, [&] { return released == 100; });
	CLAIM(moved.send(&iov, 1, std::move(done)) == 0);
	CLAIM(!done.memory);
	served(context, ends.theirs, [&] { return released == 107; });
	CLAIM(moved.drain(0) == 0);
	served(context, ends.theirs, [&] { return moved.state() == ZCREQ_CONN_CLOSED; });
}

static void an_owner_hears_what_it_has_functions_for()
{
	constexpr const zcreq_conn_hooks &hooks = zcreq::detail::hooks_of<owner>;
	zcreq::context context;
	pair_of_ends ends;
	auto options = ends.options();
	bytes large = pattern(1 << 16);
	const iovec iov = over(large);
	owner heard;

	CLAIM(hooks.abort && hooks.closed && hooks.room && hooks.readable);
	CLAIM(!hooks.stalled && !hooks.message);
	options.limit_bytes = 1 << 16;
	zcreq::connection connection(context, options, heard);
	heard.conn = connection.get();
	CLAIM(connection.send(&iov, 1, [](int) {}) == 0);
	CLAIM(connection.send(&iov, 1, [](int) {}) == -EAGAIN);
	CLAIM(::write(ends.theirs, "hello", 5) == 5);
	served(context, ends.theirs, [&] { return heard.readables && heard.rooms; });
	CLAIM(zcreq_conn_abort(connection.get(), -ECONNABORTED) == 0);
	served(context, ends.theirs, [&] { return heard.ends; });
	CLAIM(heard.readables == 1 && heard.rooms == 1 && heard.aborts == 1 && heard.ends == 1);
	CLAIM(heard.status == -ECONNABORTED);
}

static void a_connection_that_ends_aborts_what_is_on_its_way()
{
	zcreq::context context;
	pair_of_ends ends;
	auto memory = std::make_shared<bytes>(pattern(8 << 20));
	std::weak_ptr<bytes> kept = memory;
	const iovec iov = over(*memory);
	int status = 0;
	{
		zcreq::connection connection(context, ends.options());

		CLAIM(connection.send(&iov, 1, [memory, &status](int how) { status = how; }) == 0);
		context.turn();
	}
	memory.reset();
	CLAIM(context.close(10000) == 0);
	CLAIM(context.get() == nullptr);
	CLAIM(status == -ECANCELED);
	CLAIM(kept.expired());
	CLAIM(context.close(0) == 0);
}

static void what_cannot_be_opened_throws()
{
	zcreq::context context;
	zcreq_context_options unknown{};
	zcreq_stream_options none{};
	int code = 0;

	none.fd = -1;
	try {
		zcreq::connection connection(context, none);
	} catch (const std::system_error &error) {
		code = error.code().value();
	}
	CLAIM(code == EBADF);
	unknown.flags = 1;
	try {
		zcreq::context another(unknown);
	} catch (const std::system_error &error) {
		code = error.code().value();
	}
	CLAIM(code == EINVAL);
}

/* What a child that does this ends with. */
template <class Does> static int child(Does does)
{
	const pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		alarm(60);
		std::set_terminate([] { std::_Exit(42); });
		try {
			does();
		} catch (...) {
			std::_Exit(43); /* it has passed through the library */
		}
		std::_Exit(0);
	}
	CLAIM(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

struct thrower {
	void closed(int) { throw std::runtime_error("closed"); }
};

/* turn() would stop them as well: so it is not asked here. */
static void no_exception_gets_into_the_library()
{
	bytes one = pattern(1);
	const iovec iov = over(one);

	CLAIM(child([&] {
		      zcreq::context context;
		      pair_of_ends ends;
		      zcreq::connection connection(context, ends.options());
		      CLAIM(connection.send(&iov, 1, [](int) { throw std::runtime_error("done"); }) == 0);
		      for (;;)
			      zcreq_turn(context.get(), zcreq_now_ns());
	      }) == 42);
	CLAIM(child([] {
		      zcreq::context context;
		      pair_of_ends ends;
		      thrower thrower;
		      zcreq::connection connection(context, ends.options(), thrower);
		      zcreq_conn_abort(connection.get(), -EIO);
		      zcreq_turn(context.get(), zcreq_now_ns());
	      }) == 42);
}

/* In a child, as what is left stays in memory. */
static void a_context_that_ends_early_calls_nobody_and_keeps_the_memory()
{
	CLAIM(child([] {
		      auto memory = std::make_shared<bytes>(pattern(8 << 20));
		      std::weak_ptr<bytes> kept = memory;
		      const iovec iov = over(*memory);
		      int called = 0;
		      {
			      pair_of_ends ends;
			      zcreq::context context;
			      zcreq::connection connection(context, ends.options());

			      CLAIM(connection.send(&iov, 1, [memory, &called](int) { called++; }) == 0);
			      context.turn();
			      CLAIM(context.close(0) == -EBUSY); /* the connection is there */
			      memory.reset();
		      }
		      CLAIM(called == 0);
		      CLAIM(!kept.expired());
	      }) == 0);
}

int main()
{
	alarm(120);
	bytes_arrive_and_the_buffer_comes_back_once();
	a_refused_completion_is_as_it_was();
	an_owner_hears_what_it_has_functions_for();
	a_connection_that_ends_aborts_what_is_on_its_way();
	what_cannot_be_opened_throws();
	no_exception_gets_into_the_library();
	a_context_that_ends_early_calls_nobody_and_keeps_the_memory();
	std::puts("7 passed");
	return 0;
}
