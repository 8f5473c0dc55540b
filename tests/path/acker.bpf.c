/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * acker.bpf.c - takes what is sent to ACKER_PORT, without a receiver and without a copy
 *
 * It runs where a packet enters the far end of the cable. It writes down up to where the
 * stream has been taken and drops the packet, so no page of it is ever copied; the responder
 * sends the acknowledgements. It takes what fits the window that was offered; behind a loss
 * it holds one run of bytes, and what is behind a second loss has to be sent again.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "acker.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct acker);
} acker_map SEC(".maps");

struct headers {
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

struct look {
	struct __sk_buff *skb;
	struct acker_flow *flow;
	__u32 at, end, every; /* offsets in the packet */
	__u64 n;              /* which byte of the stream is at @at */
};

/* A flow's packets may be sent by several processors at once. */
static void count(__u64 *counter, __u64 more)
{
	__sync_fetch_and_add(counter, more);
}

/* As load_byte(). */
static __u8 byte_of(__u64 n)
{
	return (n * 0x9e3779b97f4a7c15ull >> 57) & 0x7f;
}

static long look_at_one(__u64 i, struct look *look)
{
	__u8 byte;

	(void)i;
	if (look->at >= look->end || bpf_skb_load_bytes(look->skb, look->at, &byte, 1))
		return 1;
	count(&look->flow->looked, 1);
	if (byte == ACKER_RECYCLED)
		count(&look->flow->foreign, 1);
	else if (byte != byte_of(look->n))
		count(&look->flow->wrong, 1);
	look->at += look->every;
	look->n += look->every;
	return 0;
}

static void look_at(struct __sk_buff *skb, struct acker_flow *flow, __u32 begin, __u64 offset,
		    __u32 every)
{
	__u64 skipped = (every - offset % every) % every;
	struct look look = {
		.skb = skb,
		.flow = flow,
		.at = begin + skipped,
		.end = skb->len,
		.every = every,
		.n = offset + skipped,
	};

	bpf_loop(1 << 18, look_at_one, &look, 0);
}

static void meet(struct acker_flow *flow, const struct headers *h)
{
	flow->saddr = h->ip.saddr;
	flow->daddr = h->ip.daddr;
	flow->sport = h->tcp.source;
	flow->dport = h->tcp.dest;
	__builtin_memcpy(flow->smac, h->eth.h_source, sizeof(flow->smac));
	__builtin_memcpy(flow->dmac, h->eth.h_dest, sizeof(flow->dmac));
	flow->first = bpf_ntohl(h->tcp.seq) + 1;
	flow->ack = flow->edge = flow->sent_to = flow->held_from = flow->held_to = flow->first;
	flow->ended = 0;
	flow->begun = 1;
	count(&flow->answered, 1);
}

static int before(__u32 a, __u32 b)
{
	return (__s32)(a - b) < 0;
}

/* Behind a loss: the run that is held grows at either end. */
static void hold(struct acker_flow *flow, __u32 seq, __u32 end)
{
	if (flow->held_from == flow->held_to) {
		flow->held_from = seq;
		flow->held_to = end;
	} else if (!before(seq, flow->held_from) && !before(flow->held_to, seq)) {
		if (before(flow->held_to, end))
			flow->held_to = end;
	} else if (before(seq, flow->held_from) && !before(end, flow->held_from)) {
		flow->held_from = seq;
	}
}

static void accept(struct acker_flow *flow, __u32 end)
{
	flow->ack = end;
	if (flow->held_from == flow->held_to || before(end, flow->held_from))
		return;
	if (before(end, flow->held_to))
		flow->ack = flow->held_to;
	flow->held_from = flow->held_to = flow->ack;
}

/*
 * Of what is sent again nothing is lost: without timestamps it gives no round-trip time, so
 * TCP would double its timeout with each such loss, and wait for minutes after some of them.
 */
static int is_lost(struct acker_flow *flow, __u32 every)
{
	count(&flow->fresh, 1);
	if (!every || flow->fresh % every)
		return 0;
	count(&flow->lost, 1);
	return 1;
}

/* Of a stream that has begun; returns nothing, since nothing passes. */
static void take(struct __sk_buff *skb, struct acker *acker, struct acker_flow *flow,
		 const struct headers *h)
{
	__u32 begin = sizeof(h->eth) + sizeof(h->ip) + h->tcp.doff * 4;
	__u32 len = skb->len - begin, seq = bpf_ntohl(h->tcp.seq), end = seq + len;

	if (len) {
		count(&flow->packets, 1);
		count(&flow->bytes, len);
		if (acker->knobs.look_every)
			look_at(skb, flow, begin, (__u32)(seq - flow->first),
				acker->knobs.look_every);
	}
	if (acker->knobs.silent)
		return;
	if (len && !before(seq, flow->sent_to)) {
		flow->sent_to = end;
		if (is_lost(flow, acker->knobs.lose_every))
			return;
	}
	flow->seq = bpf_ntohl(h->tcp.ack_seq);
	/* an acknowledgement that asks for nothing */
	if (!len && !h->tcp.fin && seq == flow->ack)
		return;
	if (!before(flow->edge, end)) {
		if (before(flow->ack, seq))
			hold(flow, seq, end);
		else if (before(flow->ack, end))
			accept(flow, end);
		if (h->tcp.fin && flow->ack == end && !flow->ended) {
			flow->ack++;
			flow->ended = 1;
		}
	}
	count(&flow->answered, 1);
}

SEC("tc")
int acker(struct __sk_buff *skb)
{
	__u32 zero = 0, index;
	struct acker *acker = bpf_map_lookup_elem(&acker_map, &zero);
	struct acker_flow *flow;
	struct headers h;

	if (!acker || skb->protocol != bpf_htons(ETH_P_IP) ||
	    bpf_skb_load_bytes(skb, 0, &h, sizeof(h)) || h.ip.protocol != IPPROTO_TCP ||
	    h.ip.ihl != 5 || h.tcp.dest != bpf_htons(ACKER_PORT))
		return TC_ACT_OK;
	index = bpf_ntohs(h.tcp.source) - ACKER_FIRST_PORT;
	if (index >= ACKER_FLOWS || h.tcp.rst)
		return TC_ACT_SHOT;
	flow = &acker->flows[index];
	if (h.tcp.syn)
		meet(flow, &h);
	else if (flow->begun)
		take(skb, acker, flow, &h);
	return TC_ACT_SHOT;
}

char acker_license[] SEC("license") = "BSD";
