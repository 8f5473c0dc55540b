/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * responder.c - says for a host that is not there what TCP has to hear
 *
 * It looks at what the program in the kernel has noted, and sends for each flow a SYN-ACK, an
 * acknowledgement when something asked for one and the delay has passed, a FIN after theirs,
 * or a reset. Several packets are acknowledged at once, as any receiver would. It sleeps for
 * some microseconds when nothing happens, so that it does not take a whole processor.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "path/path.h"

#define PENDING 1024 /* answers that wait for their delay, a flow */
#define SPINS 2000   /* looks in vain before it sleeps */
#define NAP_NS 20000

struct packet {
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
	uint8_t options[8];
} __attribute__((packed));

struct pending {
	uint64_t due_ns;
	uint32_t ack;
	uint32_t repeats; /* packets that brought nothing new: so many duplicates */
};

struct answers {
	uint64_t answered; /* of the flow's, up to here */
	uint32_t ack;      /* as it was then */
	struct pending queue[PENDING];
	unsigned head, count;
	uint32_t window; /* as it was offered last */
	bool parted;
};

static int packets = -1;
static struct answers answers[ACKER_FLOWS];

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint32_t sum(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	return sum;
}

static uint16_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

enum answer { ANSWER_SYN, ANSWER_ACK, ANSWER_FIN, ANSWER_RST };

static void say(const volatile struct acker_flow *flow, enum answer answer, uint32_t ack,
		uint32_t window)
{
	/* MSS 1460, no-op, window scale */
	static const uint8_t options[] = {2, 4, 1460 >> 8, 1460 & 255, 1, 3, 3, ACKER_SCALE};
	const size_t tcp_len = sizeof(struct tcphdr) + (answer == ANSWER_SYN ? sizeof(options) : 0);
	struct packet packet = {
		.eth.h_proto = htons(ETH_P_IP),
		.ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP,
		       .saddr = flow->daddr, .daddr = flow->saddr,
		       .tot_len = htons((uint16_t)(sizeof(struct iphdr) + tcp_len))},
		.tcp = {.source = flow->dport, .dest = flow->sport, .ack_seq = htonl(ack),
			.doff = (uint16_t)(tcp_len / 4) & 0xf, .ack = 1},
	};

	for (unsigned i = 0; i < ETH_ALEN; i++) {
		packet.eth.h_dest[i] = flow->smac[i];
		packet.eth.h_source[i] = flow->dmac[i];
	}
	packet.tcp.seq = htonl(answer == ANSWER_SYN ? 1000 : flow->seq);
	packet.tcp.syn = answer == ANSWER_SYN;
	packet.tcp.fin = answer == ANSWER_FIN;
	packet.tcp.rst = answer == ANSWER_RST;
	/* the window of a SYN is not scaled */
	window = answer == ANSWER_SYN ? window : window >> ACKER_SCALE;
	packet.tcp.window = htons((uint16_t)(window < 65535 ? window : 65535));
	if (answer == ANSWER_SYN)
		memcpy(packet.options, options, sizeof(options));
	packet.ip.check = folded(sum(&packet.ip, sizeof(packet.ip), 0));
	packet.tcp.check = folded(sum(&packet.tcp, tcp_len,
				      sum(&packet.ip.saddr, 8, IPPROTO_TCP + (uint32_t)tcp_len)));
	(void)!send(packets, &packet, sizeof(packet) - sizeof(options) +
			(answer == ANSWER_SYN ? sizeof(options) : 0), 0);
}

/* What is offered counts from what is acknowledged, and an offer is not taken back. */
static void acknowledge(volatile struct acker *acker, unsigned i, uint32_t ack)
{
	volatile struct acker_flow *flow = &acker->flows[i];
	uint32_t window = acker->knobs.window, whole = 65535u << ACKER_SCALE;

	window = (window < whole ? window : whole) >> ACKER_SCALE << ACKER_SCALE;
	if ((int32_t)(ack + window - flow->edge) > 0)
		flow->edge = ack + window;
	answers[i].window = acker->knobs.window;
	say(flow, ANSWER_ACK, ack, flow->edge - ack);
}

static void queue_answer(volatile struct acker_flow *flow, struct answers *queued, uint64_t due_ns)
{
	const uint64_t packets_now = flow->answered;
	const struct pending answer = {
		.due_ns = due_ns,
		.ack = flow->ack,
		.repeats = flow->ack == queued->ack ? (uint32_t)(packets_now - queued->answered) : 0,
	};

	/* when there is no room, the last one stands for what came since */
	if (queued->count == PENDING)
		queued->count--;
	queued->queue[(queued->head + queued->count++) % PENDING] = answer;
	queued->answered = packets_now;
	queued->ack = answer.ack;
}

static void greet(volatile struct acker *acker, unsigned i)
{
	volatile struct acker_flow *flow = &acker->flows[i];

	answers[i] = (struct answers){.window = acker->knobs.window,
				      .answered = flow->answered, .ack = flow->ack};
	flow->edge = flow->first + (acker->knobs.window < 65535 ? acker->knobs.window : 65535);
	flow->begun = 2;
	say(flow, ANSWER_SYN, flow->first, acker->knobs.window);
}

/* One look at a flow: was anything to be done? */
static bool serve(volatile struct acker *acker, unsigned i, uint64_t now_ns)
{
	volatile struct acker_flow *flow = &acker->flows[i];
	struct answers *queued = &answers[i];
	bool busy = false;

	if (flow->begun == 1) {
		greet(acker, i);
		return true;
	}
	if (!flow->begun || acker->knobs.silent)
		return false;
	if (acker->knobs.reset) {
		acker->knobs.reset = 0;
		say(flow, ANSWER_RST, flow->ack, 0);
		return true;
	}
	if (queued->answered != flow->answered) {
		queue_answer(flow, queued, now_ns + acker->knobs.delay_us * 1000ull);
		busy = true;
	}
	while (queued->count && queued->queue[queued->head].due_ns <= now_ns) {
		const struct pending answer = queued->queue[queued->head];

		queued->head = (queued->head + 1) % PENDING;
		queued->count--;
		/* three duplicates say that something was lost, and no more need to */
		for (uint32_t n = 1; n < answer.repeats && n < 4; n++)
			acknowledge(acker, i, answer.ack);
		/* of those that are due the last says all */
		if (answer.repeats || !queued->count || queued->queue[queued->head].due_ns > now_ns)
			acknowledge(acker, i, answer.ack);
		busy = true;
	}
	if (queued->window != acker->knobs.window)
		acknowledge(acker, i, flow->ack);
	if (flow->ended && !queued->parted && !queued->count) {
		queued->parted = true;
		say(flow, ANSWER_FIN, flow->ack, 0);
	}
	return busy;
}

void path_respond(volatile struct acker *acker, int ifindex)
{
	const struct sockaddr_ll address = {
		.sll_family = AF_PACKET, .sll_ifindex = ifindex, .sll_halen = ETH_ALEN,
	};
	const struct timespec nap = {.tv_nsec = NAP_NS};
	int one = 1;

	packets = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (packets < 0 || bind(packets, (const struct sockaddr *)&address, sizeof(address)))
		_exit(1);
	setsockopt(packets, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	for (unsigned idle = 0;; idle++) {
		uint64_t now_ns = clock_ns();

		for (unsigned i = 0; i < ACKER_FLOWS; i++)
			if (serve(acker, i, now_ns))
				idle = 0;
		if (idle > SPINS)
			nanosleep(&nap, NULL);
	}
}
