/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_kernel.c - liburing's calls: what each answers, and what is made of it
 *
 * They are replaced by the linker (--wrap), so that this needs no io_uring: kernels
 * that have none, that forbid it, that know too little, that stop in the middle.
 */
#include "support/suite.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include <zcreq/uring.h>
#include <zcreq/zcreq.h>

#include "support/counting.h"
#include "uring/ring.h"
#include "uring/ring_steps.h"
#include "support/stub.h"

#define ENTRIES 8
#define REPORT_USAGE 8 /* IORING_SEND_ZC_REPORT_USAGE */

static struct counting memory;
static struct zcreq_context *context;
static struct zcreq_uring *uring;
static struct stub stub;

/* What the kernel shares with liburing, and what the calls below answer. */
static struct {
	struct io_uring_sqe sqes[ENTRIES];
	unsigned sq_head, sq_tail, sq_flags;
	struct {
		uint64_t user_data;
		int32_t res;
		uint32_t flags;
	} cqes[ENTRIES];
	unsigned cq_head, cq_tail;
	struct io_uring_params params;
	unsigned entries;
	int init_error, submit_error, get_error;
	unsigned submit_each; /* entries that one submit takes; 0: all */
	bool takes_later;     /* what was submitted: a thread of the kernel's does */
	bool no_probe;
	uint8_t missing; /* operation */
	unsigned submits, gets, exits, probes, frees, fds, registered, unregistered, runs;
} kernel;

static struct io_uring_probe *probe; /* all 256 operations */

int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
				      struct io_uring_params *params);
struct io_uring_probe *__wrap_io_uring_get_probe_ring(struct io_uring *ring);
void __wrap_io_uring_free_probe(struct io_uring_probe *it);
int __wrap_io_uring_submit(struct io_uring *ring);
int __wrap___io_uring_get_cqe(struct io_uring *ring, struct io_uring_cqe **cqe, unsigned submit,
			      unsigned wait, sigset_t *mask);
int __wrap_io_uring_get_events(struct io_uring *ring);
int __wrap_io_uring_register_eventfd(struct io_uring *ring, int fd);
int __wrap_io_uring_register_buffers(struct io_uring *ring, const struct iovec *iov, unsigned n);
int __wrap_io_uring_unregister_buffers(struct io_uring *ring);
void __wrap_io_uring_queue_exit(struct io_uring *ring);

static void share(struct io_uring *ring)
{
	ring->sq.khead = &kernel.sq_head;
	ring->sq.ktail = &kernel.sq_tail;
	ring->sq.kflags = &kernel.sq_flags;
	ring->sq.sqes = kernel.sqes;
	ring->sq.ring_entries = ENTRIES;
	ring->sq.ring_mask = ENTRIES - 1;
	ring->cq.khead = &kernel.cq_head;
	ring->cq.ktail = &kernel.cq_tail;
	ring->cq.cqes = (struct io_uring_cqe *)kernel.cqes;
	ring->cq.ring_mask = ENTRIES - 1;
	ring->features = IORING_FEAT_EXT_ARG;
}

int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
				      struct io_uring_params *params)
{
	kernel.entries = entries;
	kernel.params = *params;
	if (!kernel.init_error)
		share(ring);
	return kernel.init_error;
}

struct io_uring_probe *__wrap_io_uring_get_probe_ring(struct io_uring *ring)
{
	(void)ring;
	if (kernel.no_probe)
		return NULL;
	kernel.probes++;
	ck_assert_ptr_null(probe);
	probe = calloc(1, sizeof(*probe) + 256 * sizeof(probe->ops[0]));
	ck_assert_ptr_nonnull(probe);
	probe->last_op = 255;
	for (unsigned i = 0; i < 256; i++)
		probe->ops[i].flags = i == kernel.missing ? 0 : IO_URING_OP_SUPPORTED;
	return probe;
}

void __wrap_io_uring_free_probe(struct io_uring_probe *it)
{
	ck_assert_ptr_eq(it, probe);
	free(it);
	probe = NULL;
	kernel.frees++;
}

int __wrap_io_uring_submit(struct io_uring *ring)
{
	unsigned count = ring->sq.sqe_tail - kernel.sq_head;

	kernel.submits++;
	if (kernel.submit_error)
		return kernel.submit_error;
	if (kernel.submit_each && count > kernel.submit_each)
		count = kernel.submit_each;
	if (!kernel.takes_later)
		kernel.sq_head += count;
	return (int)count;
}

int __wrap___io_uring_get_cqe(struct io_uring *ring, struct io_uring_cqe **cqe, unsigned submit,
			      unsigned wait, sigset_t *mask)
{
	(void)ring;
	(void)mask;
	ck_assert_uint_eq(submit + wait, 0);
	*cqe = NULL;
	kernel.gets++;
	return kernel.get_error;
}

int __wrap_io_uring_get_events(struct io_uring *ring)
{
	(void)ring;
	kernel.runs++;
	return 0;
}

int __wrap_io_uring_register_eventfd(struct io_uring *ring, int fd)
{
	(void)ring;
	ck_assert_int_ge(fd, 0);
	kernel.fds++;
	return 0;
}

int __wrap_io_uring_register_buffers(struct io_uring *ring, const struct iovec *iov, unsigned n)
{
	(void)ring;
	ck_assert_ptr_nonnull(iov);
	kernel.registered += n;
	return 0;
}

int __wrap_io_uring_unregister_buffers(struct io_uring *ring)
{
	(void)ring;
	kernel.unregistered++;
	return 0;
}

void __wrap_io_uring_queue_exit(struct io_uring *ring)
{
	(void)ring;
	kernel.exits++;
}

static void complete(uint64_t user_data, int32_t res)
{
	const unsigned at = kernel.cq_tail++ % ENTRIES;

	kernel.cqes[at].user_data = user_data;
	kernel.cqes[at].res = res;
	kernel.cqes[at].flags = 0;
}

static void setup(void)
{
	context = counting_context(&memory, 0);
	memset(&kernel, 0, sizeof(kernel));
	kernel.get_error = -EAGAIN;
	stub_init(&stub);
}

static void teardown(void)
{
	ck_assert_int_eq(zcreq_uring_free(uring), 0);
	ck_assert_uint_eq(kernel.probes, kernel.frees);
	counting_end(&memory, context);
}

START_TEST(a_kernel_without_a_ring_is_told_apart)
{
	static const int errors[][2] = {
		{-ENOSYS, -ENOSYS}, {-EPERM, -EPERM}, {-ENOMEM, -ENOMEM}, {-EINVAL, -EOPNOTSUPP},
	};

	kernel.init_error = errors[_i][0];
	ck_assert_int_eq(zcreq_uring_new(context, NULL, &uring), errors[_i][1]);
	ck_assert_ptr_null(uring);
	ck_assert_uint_eq(kernel.exits, 0);
}
END_TEST

START_TEST(a_kernel_that_knows_too_little_is_refused)
{
	if (_i == 0)
		kernel.no_probe = true;
	else
		kernel.missing = _i == 1 ? IORING_OP_SENDMSG_ZC : IORING_OP_SEND_ZC;
	ck_assert_int_eq(zcreq_uring_new(context, NULL, &uring), -EOPNOTSUPP);
	ck_assert_ptr_null(uring);
	ck_assert_uint_eq(kernel.exits, 1);
}
END_TEST

START_TEST(a_ring_that_cannot_submit_is_given_back)
{
	kernel.submit_error = -EBADF;
	ck_assert_int_eq(zcreq_uring_new(context, NULL, &uring), -EBADF);
	ck_assert_uint_eq(kernel.exits, 1);
}
END_TEST

START_TEST(the_queues_are_as_large_as_asked)
{
	const struct zcreq_uring_options options = {.size = sizeof(options), .entries = 32};

	complete(0, -EBADF);
	ck_assert_int_eq(zcreq_uring_new(context, _i ? &options : NULL, &uring), 0);
	ck_assert_uint_eq(kernel.entries, _i ? 32 : 256);
	ck_assert_uint_eq(kernel.params.cq_entries, 8 * (_i ? 32 : 256));
	ck_assert_uint_eq(kernel.params.flags,
			  IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
				  IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP);
	ck_assert_uint_eq(uring->usage_flag, REPORT_USAGE);
	ck_assert_int_eq(zcreq_uring_free(uring), 0);
	uring = NULL;
	ck_assert_uint_eq(kernel.exits, 1);
}
END_TEST

/* The kernel may take some of what there is, and is given the rest. */
START_TEST(all_is_submitted_also_one_by_one)
{
	struct zcreq_stream_options options = stub_options(&stub);
	struct zcreq_conn *conns[3];
	unsigned before;

	complete(0, -EBADF);
	ck_assert_int_eq(zcreq_uring_new(context, NULL, &uring), 0);
	for (unsigned i = 0; i < COUNT(conns); i++) {
		ck_assert_int_eq(zcreq_uring_stream_open(uring, context, &options, &conns[i]), 0);
		ck_assert_int_eq(zcreq_write(conns[i], "x", 1), 0);
		ring_prepare(conns[i]);
	}
	before = kernel.submits;
	kernel.submit_each = 1;
	ck_assert_int_eq(zcreq_ring_turn(uring), 0);
	ck_assert_uint_eq(kernel.submits - before, 3);
	ck_assert_uint_eq(kernel.sq_head, 4);
	for (unsigned i = 0; i < COUNT(conns); i++)
		complete(kernel.sqes[1 + i].user_data, 1);
	ck_assert_int_eq(ring_process(uring), 3);
	ck_assert_uint_eq(kernel.cq_head, 4);
	ck_assert_uint_eq(stats_of(context).sent_bytes, 3);
	for (unsigned i = 0; i < COUNT(conns); i++)
		zcreq_conn_free(conns[i]);
	zcreq_turn(context, 0);
}
END_TEST

START_TEST(an_error_of_reading_is_returned)
{
	complete(0, -EBADF);
	ck_assert_int_eq(zcreq_uring_new(context, NULL, &uring), 0);
	ck_assert_int_eq(zcreq_ring_turn(uring), 0);
	/* since 2.15 liburing asks the kernel only if it has more than the queue holds */
	kernel.sq_flags = IORING_SQ_CQ_OVERFLOW;
	kernel.get_error = -EBADR;
	ck_assert_int_eq(zcreq_ring_turn(uring), -EBADR);
}
END_TEST

START_TEST(each_call_is_the_one_it_is_named_after)
{
	const struct iovec iov = {&stub, sizeof(stub)};

	complete(0, -EBADF);
	ck_assert_int_eq(zcreq_uring_new(context, NULL, &uring), 0);
	ck_assert_int_ge(uring->source.fd(uring), 0);
	ck_assert_uint_eq(kernel.fds, 1);
	ck_assert_int_eq(zcreq_uring_register(uring, &iov, 1), 0);
	ck_assert_uint_eq(kernel.registered, 1);
	ck_assert_int_eq(zcreq_uring_unregister(uring), 0);
	ck_assert_uint_eq(kernel.unregistered, 1);
	ck_assert_int_eq(uring->ops->run(uring->ops_arg), 0);
	ck_assert_uint_eq(kernel.runs, 1);
}
END_TEST

/* With SQPOLL what was submitted stands in the queue until the kernel comes to it. */
START_TEST(a_ring_that_the_kernel_polls_is_told_once)
{
	struct io_uring programs = {0};
	const struct zcreq_uring_options ring = {.size = sizeof(ring), .ring = &programs};
	struct zcreq_stream_options options = stub_options(&stub);
	union {
		struct io_uring_cqe cqe;
		struct {
			uint64_t user_data;
			int32_t res;
			uint32_t flags;
		} bytes;
	} done = {.bytes = {.res = 1}};
	struct zcreq_conn *conn;

	share(&programs);
	programs.flags = IORING_SETUP_SQPOLL;
	kernel.takes_later = true;
	ck_assert_int_eq(zcreq_uring_new(context, &ring, &uring), 0);
	ck_assert_int_eq(zcreq_uring_stream_open(uring, context, &options, &conn), 0);
	ck_assert_int_eq(zcreq_write(conn, "x", 1), 0);
	for (unsigned i = 0; i < 10; i++)
		zcreq_turn(context, 0);
	ck_assert_uint_eq(kernel.submits, 1);
	done.bytes.user_data = kernel.sqes[0].user_data;
	ck_assert_int_eq(zcreq_uring_completion(uring, &done.cqe), 1);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stats_of(context).sent_bytes, 1);
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_uring_free(uring), 0);
	uring = NULL;
}
END_TEST

/* It is neither asked by sending nor read nor closed. */
START_TEST(a_ring_of_the_programs_is_left_alone)
{
	struct io_uring programs = {0};
	const struct zcreq_uring_options options = {.size = sizeof(options), .ring = &programs};

	share(&programs);
	programs.features |= _i == 1 ? 1u << 13 : _i == 2 ? 1u << 12 : 0;
	kernel.missing = _i == 3 ? IORING_OP_SEND_ZC : 0;
	complete(0, 0);
	ck_assert_int_eq(zcreq_uring_new(context, &options, &uring), _i == 3 ? -EOPNOTSUPP : 0);
	if (_i < 3) {
		ck_assert_uint_eq(uring->usage_flag, _i == 1 ? REPORT_USAGE : 0);
		ck_assert_int_eq(ring_process(uring), 0);
		ck_assert_int_eq(uring->source.fd(uring), -ENXIO);
	}
	ck_assert_int_eq(zcreq_uring_free(uring), 0);
	uring = NULL;
	ck_assert_uint_eq(kernel.submits, 0);
	ck_assert_uint_eq(kernel.cq_head, 0);
	ck_assert_uint_eq(kernel.exits, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ring_kernel");
	TCase *calls = tcase_create("calls");

	tcase_add_checked_fixture(calls, setup, teardown);
	tcase_add_loop_test(calls, a_kernel_without_a_ring_is_told_apart, 0, 4);
	tcase_add_loop_test(calls, a_kernel_that_knows_too_little_is_refused, 0, 3);
	tcase_add_test(calls, a_ring_that_cannot_submit_is_given_back);
	tcase_add_loop_test(calls, the_queues_are_as_large_as_asked, 0, 2);
	tcase_add_test(calls, all_is_submitted_also_one_by_one);
	tcase_add_test(calls, an_error_of_reading_is_returned);
	tcase_add_test(calls, each_call_is_the_one_it_is_named_after);
	tcase_add_test(calls, a_ring_that_the_kernel_polls_is_told_once);
	tcase_add_loop_test(calls, a_ring_of_the_programs_is_left_alone, 0, 4);
	suite_add_tcase(s, calls);
	return suite_run(s);
}
