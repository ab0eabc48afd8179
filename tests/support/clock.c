/* A wall clock that is so many nanoseconds ahead as the file named by WALL_CLOCK_AHEAD says, at once when that changes.
 * The monotonic clock is left alone. Needs no header file: what libc has is declared here.
 */

typedef long long span;
struct timespec { long seconds, nanoseconds; };
struct timeval { long seconds, microseconds; };

extern void *dlsym(void *, const char *);
extern char *getenv(const char *);
extern int open(const char *, int, ...);
extern void *mmap(void *, unsigned long, int, int, int, long);

enum { REALTIME = 0, REALTIME_COARSE = 5, TAI = 11, SECOND = 1000000000 };

static int (*real)(int, struct timespec *);
static volatile const span *ahead;

__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("WALL_CLOCK_AHEAD");
    int file = name ? open(name, 02000000 /* O_RDONLY | O_CLOEXEC */) : -1;
    void *mapped = file < 0 ? (void *)-1 : mmap(0, sizeof(span), 1 /* PROT_READ */, 1 /* MAP_SHARED */, file, 0);
    ahead = mapped == (void *)-1 ? 0 : mapped;
    real = (int (*)(int, struct timespec *))dlsym((void *)-1 /* RTLD_NEXT */, "clock_gettime");
}

int clock_gettime(int clock, struct timespec *now)
{
    if (!real)
        begin();
    int failed = real(clock, now);
    if (!failed && ahead && (clock == REALTIME || clock == REALTIME_COARSE || clock == TAI)) {
        span at = (span)now->seconds * SECOND + now->nanoseconds + *ahead;
        now->seconds = at / SECOND;
        now->nanoseconds = at % SECOND;
    }
    return failed;
}

int gettimeofday(struct timeval *now, void *zone)
{
    struct timespec at;
    (void)zone;
    clock_gettime(REALTIME, &at);
    now->seconds = at.seconds;
    now->microseconds = at.nanoseconds / 1000;
    return 0;
}

long time(long *now)
{
    struct timespec at;
    clock_gettime(REALTIME, &at);
    if (now)
        *now = at.seconds;
    return at.seconds;
}
