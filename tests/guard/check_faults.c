/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_faults.c - every system call of the guard fails: it sees less, and says so
 *
 * They are replaced by the linker (--wrap). What a guard cannot protect it still
 * compares, and never does it leave a page as it was not.
 */
#include "support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "guard/guard_scene.h"
#include "support/emulated.h"
#include "support/wrapped.h"

enum call {
	CALL_NONE,
	CALL_FSTAT,
	CALL_MMAP,
	CALL_MPROTECT,
	CALL_OPEN,
	CALL_PTHREAD_ATFORK,
	CALL_PROCESS_VM_READV,
	CALL_READ,
	CALL_SIGACTION,
	CALLS,
};

static enum call failing;
static int failing_with;
static unsigned made[CALLS];

static bool fails(enum call call)
{
	made[call]++;
	if (call != failing)
		return false;
	errno = failing_with;
	return true;
}

static void let_fail(enum call call, int error)
{
	failing = call;
	failing_with = error;
	memset(made, 0, sizeof(made));
}

/* All calls succeed again; asserts that one failed. */
static void recover(void)
{
	ck_assert_uint_gt(made[failing], 0);
	failing = CALL_NONE;
}

int __real_fstat(int fd, struct stat *status);
void *__real_mmap(void *at, size_t len, int access, int flags, int fd, off_t offset);
int __real_mprotect(void *at, size_t len, int access);
int __real_open(const char *path, int flags, ...);
int __real_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
ssize_t __real_process_vm_readv(pid_t pid, const struct iovec *local, unsigned long local_count,
				const struct iovec *remote, unsigned long remote_count,
				unsigned long flags);
ssize_t __real_read(int fd, void *to, size_t len);
int __real_sigaction(int number, const struct sigaction *action, struct sigaction *before);

int __wrap_fstat(int fd, struct stat *status);
void *__wrap_mmap(void *at, size_t len, int access, int flags, int fd, off_t offset);
int __wrap_mprotect(void *at, size_t len, int access);
int __wrap_open(const char *path, int flags, ...);
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
ssize_t __wrap_process_vm_readv(pid_t pid, const struct iovec *local, unsigned long local_count,
				const struct iovec *remote, unsigned long remote_count,
				unsigned long flags);
ssize_t __wrap_read(int fd, void *to, size_t len);
int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *before);

int __wrap_fstat(int fd, struct stat *status)
{
	return fails(CALL_FSTAT) ? -1 : __real_fstat(fd, status);
}

/* glibc before 2.33 has fstat() as an inline call of this. */
#if defined(__GLIBC__) && !__GLIBC_PREREQ(2, 33)
int __real___fxstat(int version, int fd, struct stat *status);
int __wrap___fxstat(int version, int fd, struct stat *status);

int __wrap___fxstat(int version, int fd, struct stat *status)
{
	return fails(CALL_FSTAT) ? -1 : __real___fxstat(version, fd, status);
}
#endif

void *__wrap_mmap(void *at, size_t len, int access, int flags, int fd, off_t offset)
{
	return fails(CALL_MMAP) ? MAP_FAILED : __real_mmap(at, len, access, flags, fd, offset);
}

/* A signal that comes while a page is being protected or opened, once. */
static volatile bool signal_comes;

int __wrap_mprotect(void *at, size_t len, int access)
{
	if (signal_comes) {
		signal_comes = false;
		raise(SIGUSR1);
	}
	return fails(CALL_MPROTECT) ? -1 : __real_mprotect(at, len, access);
}

int __wrap_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	if (flags & O_CREAT) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	if (strcmp(path, "/proc/self/maps") == 0)
		CLAIM(flags & O_CLOEXEC);
	return fails(CALL_OPEN) ? -1 : __real_open(path, flags, mode);
}

int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
	return fails(CALL_PTHREAD_ATFORK) ? failing_with
					  : __real_pthread_atfork(prepare, parent, child);
}

ssize_t __wrap_process_vm_readv(pid_t pid, const struct iovec *local, unsigned long local_count,
				const struct iovec *remote, unsigned long remote_count,
				unsigned long flags)
{
	if (fails(CALL_PROCESS_VM_READV))
		return -1;
	return __real_process_vm_readv(pid, local, local_count, remote, remote_count, flags);
}

/* Fails with 0 as well: the end of the file. */
ssize_t __wrap_read(int fd, void *to, size_t len)
{
	if (fails(CALL_READ))
		return failing_with ? -1 : 0;
	return __real_read(fd, to, len);
}

int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *before)
{
	return fails(CALL_SIGACTION) ? -1 : __real_sigaction(number, action, before);
}

/* ---- making one ---- */

START_TEST(a_guard_that_cannot_work_is_refused)
{
	static const struct {
		enum call call;
		int error;
		bool protecting; /* only then is it needed */
	} rows[] = {
		{CALL_PROCESS_VM_READV, EPERM, false}, {CALL_OPEN, EMFILE, true},
		{CALL_PTHREAD_ATFORK, ENOMEM, true}, {CALL_SIGACTION, EINVAL, true},
	};
	struct zcreq_guard_options guard = {
		.size = sizeof(guard), .flags = ZCREQ_GUARD_PROTECT | ZCREQ_GUARD_CONTINUE,
	};
	const struct zcreq_context_options options = {
		.size = sizeof(options), .allocator = &scene.memory.allocator,
	};
	struct zcreq_context *context = NULL;
	struct sigaction before, now;
	long live;

	counting_init(&scene.memory);
	ck_assert_int_eq(zcreq_context_new(&options, &context), 0);
	ck_assert_int_eq(sigaction(SIGSEGV, NULL, &before), 0);
	live = scene.memory.live;
	let_fail(rows[_i].call, rows[_i].error);
	errno = EDOM;
	ck_assert_int_eq(zcreq_guard_attach(context, &guard), -rows[_i].error);
	ck_assert_int_eq(errno, EDOM);
	ck_assert_int_eq(zcreq_guard_reports(context), -ENOENT);
	ck_assert_int_eq(scene.memory.live, live);
	guard.flags = 0;
	ck_assert_int_eq(zcreq_guard_attach(context, &guard),
			 rows[_i].protecting ? 0 : -rows[_i].error);
	counting_end(&scene.memory, context);
	recover();
	ck_assert_int_eq(sigaction(SIGSEGV, NULL, &now), 0);
	ck_assert(now.sa_sigaction == before.sa_sigaction);
	open_scene(ZCREQ_GUARD_PROTECT);
	ck_assert_int_eq(sigaction(SIGSEGV, NULL, &now), 0);
	ck_assert(now.sa_sigaction != before.sa_sigaction);
	close_scene();
	ck_assert_int_eq(sigaction(SIGSEGV, NULL, &now), 0);
	ck_assert(now.sa_sigaction == before.sa_sigaction);
}
END_TEST

/* The handlers of fork(2) are there for good, so there is one set of them. */
START_TEST(fork_is_handled_once)
{
	int lowest = dup(STDIN_FILENO);

	close(lowest);
	open_scene(ZCREQ_GUARD_PROTECT);
	close_scene();
	let_fail(CALL_NONE, 0);
	open_scene(ZCREQ_GUARD_PROTECT);
	close_scene();
	ck_assert_uint_eq(made[CALL_PTHREAD_ATFORK], 0);
	ck_assert_int_eq(dup(STDIN_FILENO), lowest); /* and no descriptor is left */
}
END_TEST

/* ---- protecting ---- */

/* Not protected, and compared. */
START_TEST(a_page_that_cannot_be_protected_is_compared)
{
	static const struct {
		enum call call;
		int error;
	} rows[] = {
		{CALL_MMAP, ENOMEM}, {CALL_MPROTECT, ENOMEM}, {CALL_OPEN, EMFILE},
		{CALL_READ, EIO}, {CALL_READ, 0},
	};
	struct heard heard[2] = {{0}};

	open_scene(ZCREQ_GUARD_PROTECT);
	let_fail(rows[_i].call, rows[_i].error);
	errno = EDOM;
	send_and_finish(&heard[0], scene.buffer, 2 * PAGE);
	ck_assert_int_eq(errno, EDOM);
	recover();
	ck_assert(can_write(scene.buffer) && can_write(scene.buffer + PAGE));
	poke(scene.buffer);
	ck_assert_uint_eq(scene.found.count, 0);
	prove();
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_int_eq(scene.found.last.crime, ZCREQ_GUARD_CHANGED);
	/* and the next one is as if nothing had been */
	send_and_finish(&heard[1], scene.buffer, 2 * PAGE);
	ck_assert(!can_write(scene.buffer) && !can_write(scene.buffer + PAGE));
	prove();
	ck_assert(can_write(scene.buffer) && can_write(scene.buffer + PAGE));
	close_scene();
}
END_TEST

/* The first have places in the table of pages, the rest have none. */
START_TEST(pages_beyond_the_table)
{
	enum { MOST = 512, ALL = 600 };
	struct heard heard[2] = {{0}};
	char *memory;

	open_scene(ZCREQ_GUARD_PROTECT);
	memory = mmap(NULL, ALL * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(memory != MAP_FAILED);
	memset(memory, 'x', ALL * PAGE); /* as can_write() leaves it */
	send_and_finish(&heard[0], memory, PAGE); /* makes the table */
	prove();
	let_fail(CALL_MMAP, ENOMEM);
	send_and_finish(&heard[1], memory, ALL * PAGE);
	recover();
	for (unsigned page = 0; page < ALL; page++)
		CLAIM(can_write(memory + (size_t)page * PAGE) == (page >= MOST));
	if (_i)
		poke(memory + MOST * PAGE);
	prove();
	for (unsigned page = 0; page < ALL; page++)
		CLAIM(can_write(memory + (size_t)page * PAGE));
	ck_assert_uint_eq(scene.found.count, _i);
	close_scene();
}
END_TEST

/* The kernel has no room for one more mapping: it stays protected until it is wanted. */
START_TEST(a_page_that_cannot_be_given_back)
{
	struct heard heard[2] = {{0}};

	open_scene(ZCREQ_GUARD_PROTECT);
	send_and_finish(&heard[0], scene.buffer, 3 * PAGE);
	let_fail(CALL_MPROTECT, ENOMEM);
	prove();
	recover();
	ck_assert_uint_eq(heard[0].released, 1);
	ck_assert(!can_write(scene.buffer));
	poke(scene.buffer); /* no crime: it is the program's */
	ck_assert_uint_eq(scene.found.count, 0);
	ck_assert(can_write(scene.buffer));
	/* in flight again */
	send_and_finish(&heard[1], scene.buffer, 2 * PAGE);
	ck_assert(!can_write(scene.buffer));
	poke(scene.buffer + PAGE);
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert(scene.found.last.id.bits == heard[1].id.bits);
	prove();
	ck_assert(can_write(scene.buffer) && can_write(scene.buffer + PAGE));
	ck_assert_uint_eq(scene.found.count, 2);
	ck_assert(!can_write(scene.buffer + 2 * PAGE));
	poke(scene.buffer + 2 * PAGE);
	ck_assert(can_write(scene.buffer + 2 * PAGE));
	ck_assert_uint_eq(scene.found.count, 2);
	close_scene();
}
END_TEST

/* Memory that has changed may be somebody else's: what cannot be found out is left. */
START_TEST(a_changed_page_that_cannot_be_looked_up_is_forgotten)
{
	struct heard heard[2] = {{0}};

	open_scene(ZCREQ_GUARD_PROTECT);
	send_and_finish(&heard[0], scene.buffer + 1, 3 * PAGE);
	poke(scene.buffer + 1);
	let_fail(_i ? CALL_MPROTECT : CALL_OPEN, _i ? ENOMEM : EMFILE);
	prove();
	recover();
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert(!can_write(scene.buffer + PAGE));
	ck_assert_int_eq(mprotect(scene.buffer, PAGES * PAGE, PROT_READ | PROT_WRITE), 0);
	send_and_finish(&heard[1], scene.buffer, 4 * PAGE);
	ck_assert(!can_write(scene.buffer + PAGE));
	prove();
	ck_assert(can_write(scene.buffer + PAGE));
	ck_assert_uint_eq(scene.found.count, 1);
	close_scene();
}
END_TEST

/* One look at the list of mappings for all pages of one. */
START_TEST(the_list_of_mappings_is_read_once)
{
	struct heard heard[2] = {{0}};

	open_scene(ZCREQ_GUARD_PROTECT);
	let_fail(CALL_NONE, 0);
	send_and_finish(&heard[0], scene.buffer, PAGES * PAGE);
	ck_assert_uint_eq(made[CALL_OPEN], 1);
	ck_assert_uint_eq(made[CALL_MPROTECT], PAGES);
	send_and_finish(&heard[1], scene.buffer, PAGES * PAGE); /* all known */
	ck_assert_uint_eq(made[CALL_OPEN], 1);
	prove();
	ck_assert_uint_eq(made[CALL_OPEN], 1);
	ck_assert_uint_eq(made[CALL_MPROTECT], 2 * PAGES);
	close_scene();
}
END_TEST

/* ---- descriptors ---- */

/* @_i: the descriptor cannot be looked at, or there is no memory to remember it. */
START_TEST(a_descriptor_that_cannot_be_watched_is_sent_on)
{
	struct zcreq_stream_options options = {.size = sizeof(options), .mode = ZCREQ_MODE_ALWAYS};
	struct heard heard = {0};
	int devnull = open("/dev/null", O_RDWR);
	unsigned calls;

	open_scene(0);
	options.fd = connected_socket();
	zcreq_conn_free(scene.conn);
	zcreq_turn(scene.context, 0);
	calls = scene.memory.calls;
	errno = EDOM;
	if (_i)
		let_fail(CALL_FSTAT, EIO);
	for (unsigned n = 1;; n++) {
		unsigned failed = scene.memory.failed;
		int ret;

		scene.memory.fail_at = _i ? 0 : scene.memory.calls + n;
		ret = zcreq_stream_open(scene.context, &options, &scene.conn);
		ck_assert(ret == 0 || ret == -ENOMEM);
		if (!ret) {
			ck_assert(_i || scene.memory.failed > failed);
			break;
		}
	}
	ck_assert_int_eq(errno, EDOM);
	ck_assert_uint_gt(scene.memory.calls, calls);
	if (_i)
		recover();
	scene.memory.fail_at = 0;
	send_and_finish(&heard, scene.buffer, PAGE);
	ck_assert_int_eq(dup2(devnull, options.fd), options.fd);
	ck_assert_int_eq(zcreq_conn_abort(scene.conn, -EIO), 0);
	zcreq_turn(scene.context, 0);
	ck_assert_uint_eq(scene.found.count, 0);
}
END_TEST

static volatile unsigned signals;

static void poke_the_first(int number)
{
	signals++;
	poke(scene.buffer + 8);
	ck_assert_int_eq(number, SIGUSR1);
}

enum moment { TAKING, GIVING, FAULTING, MOMENTS };

/* Its handler writes to memory in flight. With the lock held that would never end. */
START_TEST(a_signal_waits_until_the_lock_is_open)
{
	struct heard heard[3] = {{0}};

	open_scene(ZCREQ_GUARD_PROTECT);
	ck_assert(signal(SIGUSR1, poke_the_first) != SIG_ERR);
	send_and_finish(&heard[0], scene.buffer, PAGE);
	send_and_finish(&heard[1], scene.buffer + PAGE, PAGE);
	signal_comes = true;
	if (_i == TAKING)
		send_and_finish(&heard[2], scene.buffer + PAGE * 2, PAGE);
	else if (_i == GIVING)
		prove_send(1);
	else
		poke(scene.buffer + PAGE);
	ck_assert(!signal_comes);
	ck_assert_uint_eq(signals, 1);
	ck_assert_uint_eq(scene.found.count, _i == FAULTING ? 2 : 1);
	ck_assert_int_eq(scene.found.last.crime, ZCREQ_GUARD_WRITTEN);
	ck_assert_ptr_eq(scene.found.last.address, scene.buffer + 8);
	raise(SIGUSR1); /* none is blocked any more */
	ck_assert_uint_eq(signals, 2);
	prove();
	close_scene();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guard_faults");
	TCase *asked = tcase_create("asked"), *pages = tcase_create("pages");
	TCase *descriptors = tcase_create("descriptors");

	if (emulated_memory())
		return 77;
	tcase_add_loop_test(asked, a_guard_that_cannot_work_is_refused, 0, 4);
	tcase_add_test(asked, fork_is_handled_once);
	suite_add_tcase(s, asked);

	tcase_add_loop_test(pages, a_page_that_cannot_be_protected_is_compared, 0, 5);
	tcase_add_loop_test(pages, pages_beyond_the_table, 0, 2);
	tcase_add_test(pages, a_page_that_cannot_be_given_back);
	tcase_add_loop_test(pages, a_changed_page_that_cannot_be_looked_up_is_forgotten, 0, 2);
	tcase_add_test(pages, the_list_of_mappings_is_read_once);
	tcase_add_loop_test(pages, a_signal_waits_until_the_lock_is_open, 0, MOMENTS);
	suite_add_tcase(s, pages);

	tcase_add_loop_test(descriptors, a_descriptor_that_cannot_be_watched_is_sent_on, 0, 2);
	suite_add_tcase(s, descriptors);
	return suite_run(s);
}
