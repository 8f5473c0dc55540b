/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch_scene.c - a watched stream, and what TCP_INFO says of its peer
 */
#include "support/suite.h"

#include "stream/watch_scene.h"

struct tcp_info info;

void watch_setup(void)
{
	scene_setup();
	stub.info = &info;
	info = (struct tcp_info){.tcpi_state = 1};
}

void watch_teardown(void)
{
	if (zcreq_request_state(context, heard.id) == ZCREQ_STATE_OPEN ||
	    zcreq_request_state(context, heard.id) == ZCREQ_STATE_ABORTING)
		scene_finish(0);
	scene_teardown();
}

void open_quiet(uint32_t stall_ms, uint32_t not_reading_ms)
{
	options.stall_ms = stall_ms;
	options.not_reading_ms = not_reading_ms;
	scene_open();
	stub.getsockopts = COUNT(stub.getsockopt_error);
	zcreq_turn(context, START);
	scene_begin();
	ck_assert_uint_eq(zcreq_turn(context, START),
			  stall_ms ? START + stall_ms * MS : ZCREQ_NEVER);
}

void say(const struct row *row)
{
	stub.info_bytes = row->bytes;
	info.tcpi_snd_mss = MSS;
	info.tcpi_unacked = row->unacked;
	info.tcpi_notsent_bytes = row->notsent;
	info.tcpi_snd_wnd = row->window;
	info.tcpi_last_ack_recv = row->ack;
	info.tcpi_last_data_recv = row->heard_data;
	info.tcpi_probes = row->probes;
	info.tcpi_backoff = row->backoff;
	info.tcpi_rto = row->rto * 1000;
	info.tcpi_rtt = row->rtt * 1000;
	info.tcpi_retransmits = (uint8_t)row->retransmits;
	info.tcpi_last_data_sent = row->sent;
	info.tcpi_rttvar = row->rttvar * 1000;
}

void quiet_for(uint32_t ack_ms, uint32_t data_ms)
{
	info.tcpi_last_ack_recv = ack_ms;
	info.tcpi_last_data_recv = data_ms;
}

void open_copying(uint32_t idle_ms)
{
	options.mode = ZCREQ_MODE_NEVER;
	options.idle_ms = idle_ms;
	open_quiet(STALL_MS, 0);
	stub.looks = 0;
}
