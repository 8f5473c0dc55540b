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
#include "subsystem.h"

int main(int argc, char **argv)
{
	static struct subsystem subsystem;
	static struct options options;
	int err;

	signal(SIGPIPE, SIG_IGN); /* nobody reads what is printed: no reason to stop */
	signal(SIGXFSZ, SIG_IGN); /* a file that cannot grow is an answer to a host */
	setvbuf(stdout, NULL, _IOLBF, 0);
	err = options_parse(&options, argc, argv);
	if (err) {
		options_free(&options);
		return err < 0 ? 2 : 0;
	}
	err = subsystem_init(&subsystem, &options);
	if (err == 0)
		err = subsystem_run(&subsystem);
	if (err < 0)
		fprintf(stderr, "zcreq-nvmet: %s\n", strerror(-err));
	subsystem_deinit(&subsystem);
	options_free(&options);
	return err < 0;
}
