/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * env.c - the few functions of SPDK's environment that its socket libraries ask for
 *
 * So the tests need neither DPDK nor large pages.
 */
#include <stdlib.h>

#include <spdk/env.h>

#include "peer.h"

uint64_t spdk_get_ticks(void)
{
	return now_ns();
}

uint64_t spdk_get_ticks_hz(void)
{
	return 1000000000;
}

uint32_t spdk_env_get_core_count(void)
{
	return 1;
}

uint32_t spdk_env_get_current_core(void)
{
	return 0;
}

uint32_t spdk_env_get_first_core(void)
{
	return 0;
}

uint32_t spdk_env_get_next_core(uint32_t before)
{
	(void)before;
	return UINT32_MAX;
}

void *spdk_realloc(void *memory, size_t size, size_t align)
{
	(void)align;
	return realloc(memory, size);
}

void spdk_free(void *memory)
{
	free(memory);
}
