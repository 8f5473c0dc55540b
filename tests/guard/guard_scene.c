/* SPDX-License-Identifier: BSD-2-Clause */
#include "guard/guard_scene.h"

#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/suite.h"

struct scene scene;

static void note(const struct zcreq_guard_report *report, void *arg)
{
	struct findings *found = arg;

	found->count++;
	found->last = *report;
	strncpy(found->text, report->text, sizeof(found->text) - 1);
	if (found->inside)
		found->inside();
}

static struct zcreq_context *context_with(unsigned flags,
					  void (*report)(const struct zcreq_guard_report *, void *))
{
	const struct zcreq_guard_options guard = {
		.size = sizeof(guard),
		.flags = flags,
		.report = report,
		.arg = &scene.found,
	};
	const struct zcreq_context_options options = {
		.size = sizeof(options),
		.allocator = &scene.memory.allocator,
	};
	struct zcreq_context *context = NULL;

	ck_assert_int_eq(zcreq_context_new(&options, &context), 0);
	ck_assert_int_eq(zcreq_guard_attach(context, &guard), 0);
	return context;
}

struct zcreq_context *guarded_context(unsigned flags)
{
	return context_with(flags, note);
}

static void open_with(unsigned flags, void (*report)(const struct zcreq_guard_report *, void *))
{
	char *mapped = mmap(NULL, (PAGES + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert(mapped != MAP_FAILED);
	scene.buffer = mapped + PAGE;
	ck_assert_int_eq(mprotect(scene.buffer, PAGES * PAGE, PROT_READ | PROT_WRITE), 0);
	memset(scene.buffer, 'a', PAGES * PAGE);
	memset(&scene.found, 0, sizeof(scene.found));
	counting_init(&scene.memory);
	stub_init(&scene.stub);
	scene.context = context_with(flags, report);
	scene.conn = stub_open(&scene.stub, scene.context, NULL, NULL);
}

void open_scene(unsigned flags)
{
	open_with(flags | ZCREQ_GUARD_CONTINUE, note);
}

void open_scene_that_aborts(unsigned flags)
{
	open_with(flags, note);
}

void open_scene_that_prints(unsigned flags)
{
	open_with(flags | ZCREQ_GUARD_CONTINUE, NULL);
}

void close_scene(void)
{
	zcreq_conn_free(scene.conn);
	zcreq_turn(scene.context, 0);
	counting_end(&scene.memory, scene.context);
}

void send_iovecs_and_finish(struct heard *heard, const struct iovec *iov, int count)
{
	zcreq_id id = heard_begin(scene.conn, heard);

	ck_assert_int_eq(zcreq_add(scene.context, id, iov, count, 0), 0);
	zcreq_turn(scene.context, 0);
	ck_assert_int_eq(zcreq_finish(scene.context, id, 0), 0);
}

void send_and_finish(struct heard *heard, const void *data, size_t len)
{
	const struct iovec iov = {(void *)data, len};

	send_iovecs_and_finish(heard, &iov, 1);
}

void prove(void)
{
	stub_prove_all(&scene.stub);
	ck_assert_int_eq(zcreq_process(scene.conn, POLLERR), 0);
	zcreq_turn(scene.context, 0);
}

void prove_send(uint32_t n)
{
	stub_notify(&scene.stub, n, n, false);
	ck_assert_int_eq(zcreq_process(scene.conn, POLLERR), 0);
	zcreq_turn(scene.context, 0);
}

int connected_socket(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)},
	};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, len), 0);
	return fd; /* the peer waits in the listener's queue */
}

bool can_write(char *address)
{
	int ends[2];
	bool can;

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	can = read(ends[0], address, 1) == 1;
	close(ends[0]);
	close(ends[1]);
	return can;
}
