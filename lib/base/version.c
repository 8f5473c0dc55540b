/* SPDX-License-Identifier: BSD-2-Clause */
#include <zcreq/version.h>

const char *zcreq_version(void)
{
	return ZCREQ_VERSION;
}
