/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emulated.h - what qemu-user does not translate of the kernel's calls
 *
 * A test that takes one of them says so and is skipped there (a program: exit 77); on a kernel,
 * with any processor, it runs.
 */
#ifndef TESTS_EMULATED_H
#define TESTS_EMULATED_H

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* process_vm_readv(2) is refused as an unknown call. */
static inline bool emulated_memory(void)
{
	char from = 1, to = 0;
	struct iovec local = {&to, 1}, remote = {&from, 1};

	if (syscall(SYS_process_vm_readv, getpid(), &local, 1L, &remote, 1L, 0L) >= 0 ||
	    errno != ENOSYS)
		return false;
	printf("no process_vm_readv(2) here: emulated, or a kernel without it\n");
	return true;
}

/* TCP_INFO of a new socket: how many bytes come back. The number is its name's, whose two headers
 * do not go together. */
static inline socklen_t emulated_info(unsigned char info[104])
{
	socklen_t len = 104;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || getsockopt(fd, IPPROTO_TCP, 11, info, &len))
		abort();
	close(fd);
	return len;
}

/* It is taken for an int: that much of it comes back, whatever was asked for. */
static inline bool emulated_tcp(void)
{
	unsigned char info[104];
	socklen_t len = emulated_info(info);

	if (len <= sizeof(int))
		printf("TCP_INFO has %u bytes here: emulated\n", (unsigned)len);
	return len <= sizeof(int);
}

/* That int is turned round where the processor's order of bytes is another: no state is in it. */
static inline bool emulated_states(void)
{
	enum { CLOSED = 7 }; /* TCP_CLOSE */
	unsigned char info[104];

	emulated_info(info);
	if (info[0] != CLOSED)
		printf("TCP_INFO has no state here: emulated\n");
	return info[0] != CLOSED;
}

/* msync(2) finds nothing wrong with a page that is not there. */
static inline bool emulated_holes(void)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *at = mmap(NULL, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || munmap(at, page))
		abort();
	if (msync(at, page, MS_ASYNC))
		return false;
	printf("msync(2) does not see what is unmapped: emulated\n");
	return true;
}

/* /proc/self/smaps is made up, or advice is not passed on: the flags do not have all that was
 * asked for. */
static inline bool emulated_smaps(void)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *at = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	FILE *smaps = fopen("/proc/self/smaps", "r");
	char line[512], begin[32];
	bool ours = false, all = false;

	snprintf(begin, sizeof(begin), "%lx-", (unsigned long)(uintptr_t)at);
	/* not mlock(): a sanitizer does nothing there */
	if (at == MAP_FAILED || !smaps || syscall(SYS_mlock, at, page) ||
	    madvise(at, page, MADV_DONTFORK))
		abort();
	while (fgets(line, sizeof(line), smaps)) {
		if (strchr("0123456789abcdef", line[0]))
			ours = !strncmp(line, begin, strlen(begin));
		else if (ours && !strncmp(line, "VmFlags:", 8))
			all = strstr(line, " lo") && strstr(line, " dc");
	}
	fclose(smaps);
	munmap(at, page);
	if (!all)
		printf("smaps does not say what was asked of memory: emulated\n");
	return !all;
}

#endif
