/* SPDX-License-Identifier: BSD-2-Clause */
/* locked.c - a limit on locked memory, which zero-copy sends are charged to */
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "real/locked.h"

enum { FIRST_USER = 0x7a000000 }; /* of a range that nobody assigns to people or to services */

/* Root exempts itself from the limit by CAP_IPC_LOCK. */
static int drop_capability(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	data[0].effective &= ~(1u << CAP_IPC_LOCK);
	data[0].permitted &= ~(1u << CAP_IPC_LOCK);
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

/* Keeps all capabilities, which a change of user would take away. */
static int become_own_user(void)
{
	const uid_t own = FIRST_USER + (uid_t)getpid();

	if (geteuid())
		return 0;
	if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP))
		return errno == EPERM ? 0 : -errno;
	if (setresuid(own, own, own)) /* EINVAL: root of a namespace that has no other user */
		return errno == EINVAL ? 0 : -errno;
	return 0;
}

int locked_limit(size_t bytes)
{
	const struct rlimit limit = {bytes, bytes};
	int ret;

	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		return -errno;
	ret = become_own_user();
	return ret ? ret : drop_capability();
}
