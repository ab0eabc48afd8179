/* WebSocket messages through a proxy: both ends of the relay, so that neither is what is measured.
 *
 *   ws_load echo PORT
 *   ws_load load PORT CONNECTIONS SECONDS REQUEST
 *
 * `echo` answers every handshake with the accept of the one key that REQUEST has to bear (RFC 6455 1.3), and every
 * frame with its payload. `load` sends the file REQUEST on each connection, then one message of 64 bytes at a time,
 * masked with zeros, and waits for it to come back. Prints one line of JSON: messages, seconds, and percentiles of a
 * round trip in microseconds. With 0 seconds it opens the connections, says so, and holds them until its standard
 * input ends.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PAYLOAD = 64, ASKED = 6 + PAYLOAD, ANSWERED = 2 + PAYLOAD, ROOM = 16384, MOST = 20000, SAMPLES = 10 * 1000 * 1000 };

static const char ACCEPTED[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

typedef struct {
    int socket, open;
    size_t filled;
    double began;
    char *data;
} line;

static line lines[MOST];
static uint32_t *samples;

static void die(const char *what)
{
    fprintf(stderr, "ws_load: %s: %s\n", what, errno ? strerror(errno) : "not as it should be");
    exit(1);
}

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static struct sockaddr_in local(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
}

static void say(int to, const void *data, size_t size)
{
    if (send(to, data, size, MSG_NOSIGNAL) != (ssize_t)size)
        die("send");
}

static void watch(int all, line *one)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = one};
    int yes = 1;
    setsockopt(one->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (epoll_ctl(all, EPOLL_CTL_ADD, one->socket, &event))
        die("epoll_ctl");
}

/* What there is to read; 0 when the other side has ended. */
static int fill(line *one)
{
    ssize_t got = recv(one->socket, one->data + one->filled, ROOM - one->filled, 0);
    if (got <= 0)
        return 0;
    one->filled += got;
    return 1;
}

static void drop(line *one, size_t size)
{
    one->filled -= size;
    memmove(one->data, one->data + size, one->filled);
}

/* The size of the head at the beginning, or 0 while it isn't all there. */
static size_t head(line *one)
{
    char *end = memmem(one->data, one->filled, "\r\n\r\n", 4);
    return end ? (size_t)(end - one->data) + 4 : 0;
}

static void answer(line *one)
{
    size_t size = head(one);
    if (!one->open) {
        if (!size)
            return;
        say(one->socket, ACCEPTED, sizeof ACCEPTED - 1);
        one->open = 1;
        drop(one, size);
    }
    while (one->filled >= ASKED) {
        char frame[ANSWERED] = {(char)0x82, PAYLOAD};
        memcpy(frame + 2, one->data + 6, PAYLOAD);
        say(one->socket, frame, sizeof frame);
        drop(one, ASKED);
    }
}

static void take(int all, int listener)
{
    int got = accept(listener, NULL, NULL);
    if (got < 0)
        die("accept");
    line *one = calloc(1, sizeof *one);
    if (!one || !(one->data = malloc(ROOM)))
        die("memory");
    one->socket = got;
    watch(all, one);
}

static void echo(int port)
{
    struct epoll_event events[256];
    struct sockaddr_in at = local(port);
    int all = epoll_create1(0), listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1024) ||
        epoll_ctl(all, EPOLL_CTL_ADD, listener, &event))
        die("listen");
    for (;;) {
        int many = epoll_wait(all, events, 256, -1);
        for (int each = 0; each < many; each++) {
            line *one = events[each].data.ptr;
            if (!one) {
                take(all, listener);
            } else if (fill(one)) {
                answer(one);
            } else {
                close(one->socket);
                free(one->data);
                free(one);
            }
        }
    }
}

static void ask(line *one)
{
    static char frame[ASKED] = {(char)0x82, (char)(0x80 | PAYLOAD)};
    one->began = now();
    say(one->socket, frame, sizeof frame);
}

static void begin(line *one, int port, const char *request, size_t size)
{
    struct sockaddr_in at = local(port);
    size_t got;
    one->socket = socket(AF_INET, SOCK_STREAM, 0);
    one->data = malloc(ROOM);
    if (!one->data || connect(one->socket, (struct sockaddr *)&at, sizeof at))
        die("connect");
    say(one->socket, request, size);
    while (!(got = head(one)))
        if (!fill(one))
            die("the handshake's answer");
    if (memcmp(one->data, "HTTP/1.1 101", 12)) {
        one->data[one->filled < ROOM ? one->filled : ROOM - 1] = 0;
        fprintf(stderr, "ws_load: no WebSocket: %.400s\n", one->data);
        exit(1);
    }
    drop(one, got);
}

static int order(const void *one, const void *other)
{
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static void run(int connections, double seconds)
{
    struct epoll_event events[256];
    int all = epoll_create1(0);
    size_t sampled = 0;
    double began = now(), at = began;
    for (int each = 0; each < connections; each++) {
        watch(all, &lines[each]);
        ask(&lines[each]);
    }
    while ((at = now()) - began < seconds && sampled < SAMPLES) {
        int many = epoll_wait(all, events, 256, 1000);
        for (int each = 0; each < many; each++) {
            line *one = events[each].data.ptr;
            if (!fill(one))
                die("a connection ended");
            if (one->filled < ANSWERED)
                continue;
            samples[sampled++] = (uint32_t)((now() - one->began) * 1e6);
            drop(one, ANSWERED);
            ask(one);
        }
    }
    if (!sampled)
        die("no message came back");
    qsort(samples, sampled, sizeof *samples, order);
    printf("{\"messages\": %zu, \"seconds\": %.3f, \"p50\": %u, \"p99\": %u}\n", sampled, at - began,
           samples[sampled / 2], samples[sampled - sampled / 100 - 1]);
}

int main(int count, char **words)
{
    if (count == 3 && !strcmp(words[1], "echo"))
        echo(atoi(words[2]));
    if (count != 6 || strcmp(words[1], "load"))
        die("words");
    int connections = atoi(words[3]), file = open(words[5], O_RDONLY);
    static char request[ROOM];
    ssize_t size = read(file, request, sizeof request);
    samples = malloc(SAMPLES * sizeof *samples);
    if (size <= 0 || !samples || connections > MOST)
        die("what it was given");
    for (int each = 0; each < connections; each++)
        begin(&lines[each], atoi(words[2]), request, size);
    if (atof(words[4]) > 0) {
        run(connections, atof(words[4]));
    } else {
        puts("open");
        fflush(stdout);
        while (getchar() != EOF)
            ;
    }
    return 0;
}
