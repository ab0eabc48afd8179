/* LDAP requests to one server over many connections, one request on the way on each, and how long each took.
 *
 *   ldap_load PORT CONNECTIONS SECONDS REQUESTS [BIND]
 *
 * REQUESTS holds whole LDAPMessages, which are sent in turn; BIND one that each connection sends first, unmeasured. In a
 * message the id has four bytes, 01 and three that count up. An answer ends with anything but an entry of a search; a
 * request whose answer holds a cookie of RFC 2696 (1.2.840.113556.1.4.319) goes on with that cookie until there is none
 * left, and counts as one operation. Prints one line of JSON: operations, entries and bytes received, failures (result
 * codes other than success), seconds, and percentiles of an operation's time in microseconds.
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
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ENTRY = 0x64, BUFFER = 8 << 20, MOST_CONNECTIONS = 1024, MOST_SAMPLES = 20 * 1000 * 1000, COOKIE = 256 };

typedef struct { const uint8_t *at; size_t size; } bytes;
typedef struct {
    int socket;
    uint8_t *data;
    size_t filled, asked;
    double began;
} line;

static bytes *requests, greeting;
static size_t many, next_request, sampled;
static uint64_t entries, received, failures;
static uint32_t number, *samples;
static line lines[MOST_CONNECTIONS];

static void die(const char *what)
{
    fprintf(stderr, "ldap_load: %s: %s\n", what, errno ? strerror(errno) : "not as it should be");
    exit(1);
}

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

/* The content of the element at `at`, or size -1 where not all of it is there. */
static int element(const uint8_t *at, size_t left, bytes *content)
{
    size_t head = 2, size;
    if (left < 2)
        return 0;
    size = at[1];
    if (size & 0x80) {
        size_t length = size & 0x7f;
        if (left < 2 + length)
            return 0;
        for (size = 0, head = 2; head < 2 + length; head++)
            size = size << 8 | at[head];
    }
    if (left - head < size)
        return 0;
    content->at = at + head;
    content->size = size;
    return 1;
}

static bytes load(const char *path)
{
    struct stat about;
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &about))
        die(path);
    bytes all = { mmap(0, about.st_size, PROT_READ, MAP_PRIVATE, file, 0), about.st_size };
    if (all.at == MAP_FAILED)
        die(path);
    return all;
}

static void split(bytes all)
{
    bytes content;
    requests = malloc(sizeof(bytes) * (all.size / 7 + 1));
    for (size_t at = 0; at < all.size; at = content.at + content.size - all.at) {
        if (!element(all.at + at, all.size - at, &content))
            die("requests");
        requests[many].at = all.at + at;
        requests[many++].size = content.at + content.size - (all.at + at);
    }
}

/* Send a message under a new id, with `cookie` in place of the empty one at its end. */
static void send_message(line *to, bytes message, bytes cookie)
{
    static uint8_t copy[BUFFER];
    bytes content;
    memcpy(copy, message.at, message.size);
    element(copy, message.size, &content);
    uint8_t *id = (uint8_t *)content.at;
    number = (number + 1) & 0xffffff;
    id[2] = 1, id[3] = number >> 16, id[4] = number >> 8, id[5] = number;
    size_t size = message.size;
    if (cookie.size) {
        /* The control is written with two-byte lengths wherever the cookie counts (tests/bench/ldap_requests.py). */
        memcpy(copy + size, cookie.at, cookie.size);
        size += cookie.size;
        for (size_t at = 0; at + 4 <= message.size; at++)
            if ((copy[at] == 0x30 || copy[at] == 0xa0 || copy[at] == 0x04) && copy[at + 1] == 0x82) {
                size_t grown = (copy[at + 2] << 8 | copy[at + 3]) + cookie.size;
                copy[at + 2] = grown >> 8, copy[at + 3] = grown;
            }
    }
    for (size_t sent = 0; sent < size;) {
        ssize_t done = write(to->socket, copy + sent, size - sent);
        if (done < 0)
            die("write");
        sent += done;
    }
}

static void ask(line *of)
{
    of->asked = next_request++ % many;
    of->began = now();
    send_message(of, requests[of->asked], (bytes){ 0, 0 });
}

/* The cookie in the controls behind an operation. */
static bytes cookie_of(bytes message, bytes operation)
{
    static const uint8_t oid[] = "1.2.840.113556.1.4.319";
    const uint8_t *end = message.at + message.size, *at = operation.at + operation.size;
    bytes content = { 0, 0 }, size;
    at = memmem(at, end - at, oid, sizeof oid - 1);
    if (!at)
        return content;
    at += sizeof oid - 1;
    if (*at == 0x01)
        at += 3;
    if (*at != 0x04 || !element(at, end - at, &content) || !element(content.at, content.size, &content)
        || !element(content.at, content.size, &size))
        die("cookie");
    at = size.at + size.size;
    if (!element(at, end - at, &content) || content.size > COOKIE)
        die("cookie");
    return content;
}

/* Take one message from the server; 1 when the operation is over. */
static int take(line *of, bytes message)
{
    bytes id, operation, code;
    if (!element(message.at, message.size, &id))
        die("id");
    const uint8_t *at = id.at + id.size;
    if (!element(at, message.at + message.size - at, &operation))
        die("operation");
    if (*at == ENTRY) {
        entries++;
        return 0;
    }
    if (!element(operation.at, operation.size, &code))
        die("result");
    failures += code.at[0] != 0;
    bytes cookie = cookie_of(message, operation);
    if (!cookie.size)
        return 1;
    send_message(of, requests[of->asked], cookie);
    return 0;
}

/* Read what is there; how many operations are over by that. */
static int hear(line *of)
{
    int over = 0;
    ssize_t got = read(of->socket, of->data + of->filled, BUFFER - of->filled);
    if (got <= 0)
        die("read");
    received += got;
    of->filled += got;
    size_t at = 0;
    bytes content;
    while (element(of->data + at, of->filled - at, &content)) {
        over += take(of, content);
        at = content.at + content.size - of->data;
    }
    memmove(of->data, of->data + at, of->filled -= at);
    return over;
}

static void open_line(line *of, int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    of->socket = socket(AF_INET, SOCK_STREAM, 0);
    of->data = malloc(BUFFER);
    if (of->socket < 0 || connect(of->socket, (struct sockaddr *)&to, sizeof to))
        die("connect");
    setsockopt(of->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (greeting.size) {
        send_message(of, greeting, (bytes){ 0, 0 });
        while (!hear(of))
            ;
    }
}

static int by_size(const void *one, const void *other)
{
    uint32_t first = *(const uint32_t *)one, second = *(const uint32_t *)other;
    return (first > second) - (first < second);
}

static double percentile(double share)
{
    size_t at = sampled * share;
    return sampled ? samples[at < sampled ? at : sampled - 1] / 10.0 : 0;
}

int main(int count, char **words)
{
    if (count < 5)
        die("usage: PORT CONNECTIONS SECONDS REQUESTS [BIND]");
    int connections = atoi(words[2]), events = epoll_create1(0);
    if (connections < 1 || connections > MOST_CONNECTIONS)
        die("connections");
    split(load(words[4]));
    if (count > 5)
        greeting = load(words[5]);
    samples = malloc(sizeof *samples * MOST_SAMPLES);
    for (int each = 0; each < connections; each++) {
        struct epoll_event want = { .events = EPOLLIN, .data.ptr = &lines[each] };
        open_line(&lines[each], atoi(words[1]));
        epoll_ctl(events, EPOLL_CTL_ADD, lines[each].socket, &want);
    }
    received = entries = 0;
    if (failures)
        die("bind");
    double began = now(), end = began + atof(words[3]), at = began;
    int going = connections;
    for (int each = 0; each < connections; each++)
        ask(&lines[each]);
    while (going) {
        struct epoll_event heard[64];
        int ready = epoll_wait(events, heard, 64, 60000);
        if (ready <= 0)
            die("nothing within a minute");
        for (int each = 0; each < ready; each++) {
            line *of = heard[each].data.ptr;
            if (!hear(of))
                continue;
            at = now();
            if (sampled < MOST_SAMPLES)
                samples[sampled++] = (at - of->began) * 1e7;
            if (at < end)
                ask(of);
            else
                going--;
        }
    }
    qsort(samples, sampled, sizeof *samples, by_size);
    printf("{\"operations\": %zu, \"entries\": %lu, \"bytes\": %lu, \"failures\": %lu, \"seconds\": %f, "
           "\"p50\": %.1f, \"p99\": %.1f, \"longest\": %.1f}\n",
           sampled, entries, received, failures, at - began, percentile(0.5), percentile(0.99), percentile(1));
    return 0;
}
