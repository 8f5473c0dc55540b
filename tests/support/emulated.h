/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emulated.h - what qemu-user does not translate of the kernel's calls
 *
 * A test that takes one of them says so and is skipped there (exit 77); on a kernel, with
 * any processor, it runs.
 */
#ifndef TESTS_EMULATED_H
#define TESTS_EMULATED_H

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* process_vm_readv(2) is refused as an unknown call. */
static inline bool emulated_memory(void)
{
	char from = 1, to = 0;
	struct iovec local = {&to, 1}, remote = {&from, 1};

	if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) >= 0 || errno != ENOSYS)
		return false;
	printf("no process_vm_readv(2) here: emulated, or a kernel without it\n");
	return true;
}

/* TCP_INFO is taken for an int: that much of it comes back, whatever was asked for. */
static inline bool emulated_tcp(void)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool cut = fd >= 0 && !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) &&
		   len <= sizeof(int);

	if (fd >= 0)
		close(fd);
	if (cut)
		printf("TCP_INFO has %u bytes here: emulated\n", (unsigned)len);
	return cut;
}

#endif
