/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path_none.c - where the path could not be built
 */
#include "path/path.h"

#include <errno.h>

const char *path_missing(void)
{
	return "no path that does not copy: no clang for BPF, or no libbpf, when this was built";
}

int path_open(struct path *path, struct net *net)
{
	(void)path;
	(void)net;
	return -ENOSYS;
}

void path_close(struct path *path)
{
	(void)path;
}

int path_connect(struct path *path, unsigned flow, const char *control)
{
	(void)path;
	(void)flow;
	(void)control;
	return -ENOSYS;
}

struct acker_flow path_seen(const struct path *path, unsigned flow)
{
	(void)path;
	(void)flow;
	return (struct acker_flow){0};
}
