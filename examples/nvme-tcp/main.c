/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - zcreq-nvmet, an NVMe/TCP target
 *
 * Owns: the exit code: 0 after a clean end, 1 if it could not serve, 2 for a
 * command line that makes no sense. Never: anything else.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

int main(int argc, char **argv)
{
	static struct target target;
	struct options options;
	int err;

	signal(SIGPIPE, SIG_IGN); /* nobody reads what is printed: no reason to stop */
	signal(SIGXFSZ, SIG_IGN); /* a file that cannot grow is an answer to a host */
	setvbuf(stdout, NULL, _IOLBF, 0);
	err = options_parse(&options, argc, argv);
	if (err)
		return err < 0 ? 2 : 0;
	err = target_init(&target, &options);
	if (err == 0)
		err = target_run(&target);
	else
		fprintf(stderr, "zcreq-nvmet: %s\n", strerror(-err));
	target_deinit(&target);
	return err < 0;
}
