/* SPDX-License-Identifier: BSD-2-Clause */
#include "report.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct guard_options guard_options = {
	.exitcode = 66,
	.polls = true,
	.unread_sends = 10000,
};

static unsigned count;
static bool halt_due;

/* Not through libc: these are points of cancellation there, and close is ours. */
static void put(const char *text, size_t len)
{
	char path[300];
	long fd = STDERR_FILENO;

	if (guard_options.log_path[0]) {
		snprintf(path, sizeof(path), "%s.%d", guard_options.log_path, (int)getpid());
		fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
			     0666);
		if (fd < 0)
			return;
	}
	while (len) {
		long put = syscall(SYS_write, fd, text, len);

		if (put <= 0)
			break;
		text += put;
		len -= put;
	}
	if (guard_options.log_path[0])
		syscall(SYS_close, fd);
}

static void say(const char *what, const char *format, va_list args)
{
	int saved = errno;
	char text[1024];
	int len = snprintf(text, sizeof(text), "==%d== zcreq-guard: %s%s", (int)getpid(), what,
			   *what ? "\n    " : "");

	len += vsnprintf(text + len, sizeof(text) - len, format, args);
	if ((size_t)len > sizeof(text) - 2)
		len = sizeof(text) - 2;
	text[len++] = '\n';
	put(text, len);
	errno = saved;
}

void report(const char *what, const char *format, ...)
{
	va_list args;

	count++;
	halt_due = guard_options.halt && count == 1;
	va_start(args, format);
	say(what, format, args);
	va_end(args);
}

void report_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("", format, args);
	va_end(args);
}

/* dladdr(3) takes a lock that a thread may hold which waits for the guard's. */
const char *report_place(const void *address)
{
	static char text[256];

	snprintf(text, sizeof(text), "%p", address);
#if defined(DLFO_STRUCT_HAS_EH_DBASE)
	struct dl_find_object found;

	if (!_dl_find_object((void *)address, &found)) {
		const char *name = found.dlfo_link_map->l_name;

		snprintf(text, sizeof(text), "%s+0x%zx", *name ? name : program_invocation_name,
			 (size_t)((uintptr_t)address - found.dlfo_link_map->l_addr));
	}
#endif
	return text;
}

bool report_halts(void)
{
	bool now = halt_due;

	halt_due = false;
	return now;
}

unsigned report_count(void)
{
	return count;
}

void report_forget(void)
{
	count = 0;
}

/* One word of the options; false if it is none of them. */
static bool set_option(const char *word, size_t len)
{
	const char *value = memchr(word, '=', len);
	size_t name_len = value ? (size_t)(value - word) : len;
	size_t value_len = value ? len - name_len - 1 : 0;
	char number[16], *end;
	long n;

	if (!value)
		return false;
	value++;
	if (name_len == 8 && !memcmp(word, "log_path", 8)) {
		if (value_len >= sizeof(guard_options.log_path))
			return false;
		memcpy(guard_options.log_path, value, value_len);
		guard_options.log_path[value_len] = '\0';
		return true;
	}
	if (!value_len || value_len >= sizeof(number))
		return false;
	memcpy(number, value, value_len);
	number[value_len] = '\0';
	n = strtol(number, &end, 10);
	if (*end || n < 0)
		return false;
	if (name_len == 8 && !memcmp(word, "exitcode", 8) && n < 256)
		guard_options.exitcode = n;
	else if (name_len == 13 && !memcmp(word, "halt_on_error", 13))
		guard_options.halt = n != 0;
	else if (name_len == 5 && !memcmp(word, "polls", 5))
		guard_options.polls = n != 0;
	else if (name_len == 12 && !memcmp(word, "unread_sends", 12))
		guard_options.unread_sends = n;
	else
		return false;
	return true;
}

void report_init(void)
{
	const char *word = secure_getenv("ZCREQ_GUARD_OPTIONS");

	while (word && *word) {
		size_t len = strcspn(word, ":");

		if (len && !set_option(word, len))
			report_note("ZCREQ_GUARD_OPTIONS: what is \"%.*s\"?", (int)len, word);
		word += len + (word[len] == ':');
	}
}
