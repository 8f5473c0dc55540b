/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path.c - sets the path up: the program into the kernel, the responder beside it
 */
#include "path/path.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define FAR_ADDRESS "10.9.0.2"
#define WHOLE_WINDOW (64u << 20)

/* The program, as clang made it. */
extern const char acker_object[], acker_object_end[];
asm(".pushsection .rodata\n"
    "acker_object: .incbin \"tests/path/acker.bpf.o\"\n"
    "acker_object_end:\n"
    ".popsection");

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

/* At the far end's entrance; the calling thread is there. Sets @map_fd. */
static int attach(struct bpf_object *object, int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts);
	int ret = bpf_object__load(object);

	if (ret)
		return ret;
	opts.prog_fd = bpf_program__fd(bpf_object__find_program_by_name(object, "acker"));
	ret = bpf_tc_hook_create(&hook);
	return ret ? ret : bpf_tc_attach(&hook, &opts);
}

/* The kernel keeps program and map for as long as the cable and this process have them. */
static int load(struct path *path)
{
	struct bpf_object *object;
	int ret;

	libbpf_set_print(quiet);
	object = bpf_object__open_mem(acker_object, (size_t)(acker_object_end - acker_object), NULL);
	if (!object)
		return -errno;
	ret = attach(object, path->net->far_index);
	if (!ret) {
		path->map_fd = fcntl(bpf_object__find_map_fd_by_name(object, "acker_map"),
				     F_DUPFD_CLOEXEC, 3);
		ret = path->map_fd < 0 ? -errno : 0;
	}
	bpf_object__close(object);
	return ret;
}

static int start_responder(struct path *path)
{
	pid_t parent = getpid();

	path->responder = fork();
	if (path->responder < 0)
		return -errno;
	if (path->responder)
		return 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	path_respond(path->acker, path->net->far_index);
}

static int open_far(struct path *path)
{
	int ret = load(path);

	if (ret)
		return ret;
	path->acker = mmap(NULL, sizeof(*path->acker), PROT_READ | PROT_WRITE, MAP_SHARED,
			   path->map_fd, 0);
	if (path->acker == MAP_FAILED)
		return -errno;
	path->acker->knobs.window = WHOLE_WINDOW;
	return start_responder(path);
}

int path_open(struct path *path, struct net *net)
{
	int ret;

	*path = (struct path){.net = net, .map_fd = -1, .acker = MAP_FAILED};
	ret = net_enter(net, NET_FAR);
	if (!ret)
		ret = open_far(path);
	net_enter(net, NET_NEAR);
	if (ret)
		path_close(path);
	return ret;
}

void path_close(struct path *path)
{
	if (path->responder > 0) {
		kill(path->responder, SIGKILL);
		waitpid(path->responder, NULL, 0);
	}
	if (path->acker != MAP_FAILED)
		munmap((void *)path->acker, sizeof(*path->acker));
	if (path->map_fd >= 0)
		close(path->map_fd);
	*path = (struct path){.map_fd = -1, .acker = MAP_FAILED};
}

static int connect_from(int fd, unsigned flow, const char *control)
{
	struct sockaddr_in from = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)(ACKER_FIRST_PORT + flow))};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(ACKER_PORT)};
	const int one = 1;

	inet_pton(AF_INET, FAR_ADDRESS, &to.sin_addr);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control, (socklen_t)strlen(control)) ||
	    bind(fd, (struct sockaddr *)&from, sizeof(from)) ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) || fcntl(fd, F_SETFL, O_NONBLOCK))
		return -errno;
	return 0;
}

int path_connect(struct path *path, unsigned flow, const char *control)
{
	int fd, ret;

	if (flow >= ACKER_FLOWS)
		return -EINVAL;
	memset((void *)&path->acker->flows[flow], 0, sizeof(path->acker->flows[flow]));
	fd = net_socket(path->net, NET_NEAR, AF_INET, SOCK_STREAM, 0);
	if (fd < 0)
		return fd;
	ret = connect_from(fd, flow, control);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

struct acker_flow path_seen(const struct path *path, unsigned flow)
{
	struct acker_flow seen;

	memcpy(&seen, (const void *)&path->acker->flows[flow], sizeof(seen));
	return seen;
}

static int try(void)
{
	struct net net;
	struct path path;
	int ret = net_open(&net), fd;

	if (!ret)
		ret = path_open(&path, &net);
	if (ret)
		return ret;
	fd = path_connect(&path, 0, "reno");
	path_close(&path);
	return fd < 0 ? fd : 0;
}

const char *path_missing(void)
{
	return net_try(try, "no path that does not copy (root, BPF programs, clsact)");
}
