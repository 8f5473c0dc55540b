/* SPDX-License-Identifier: BSD-2-Clause */
#include "real/real.h"

#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "real/net.h"

#define TIMEOUT_S 60

#define EXIT_SKIPPED 77

static Suite *left_out; /* so that Check frees what is not run */
static int taken;

TCase *real_group(Suite *suite, const char *name, SFun setup, SFun teardown,
		  const char *missing)
{
	TCase *group = tcase_create(name);

	tcase_set_timeout(group, TIMEOUT_S);
	tcase_add_checked_fixture(group, setup, teardown);
	if (missing) {
		say("skipped: %s: %s\n", name, missing);
		if (!left_out)
			left_out = suite_create("left out");
		suite = left_out;
	} else {
		taken++;
	}
	suite_add_tcase(suite, group);
	return group;
}

int real_run(Suite *suite, const char *missing)
{
	SRunner *runner;
	int failed;

	if (!missing)
		missing = net_missing();
	if (missing || !taken) {
		printf("skipped: %s\n", missing ? missing : "nothing left to run");
		return EXIT_SKIPPED;
	}
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_FORK);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	if (left_out)
		srunner_free(srunner_create(left_out));
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

bool real_linux_before(unsigned major, unsigned minor)
{
	unsigned here_major, here_minor;
	struct utsname name;

	ck_ok(uname(&name));
	ck_assert_int_eq(sscanf(name.release, "%u.%u", &here_major, &here_minor), 2);
	return here_major < major || (here_major == major && here_minor < minor);
}
