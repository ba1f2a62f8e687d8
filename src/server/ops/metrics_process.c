/* server/ops/metrics_process.c: memory, CPU and file descriptors of this process. What the kernel
 * does not tell (no /proc, or a sandbox before it) is left out of the page. */
#include <dirent.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/ops/metrics.h"
#include "server/ops/metrics_text.h"

double qr__process_start_time(void) {
    char text[1024];
    struct timespec boot, real;
    if (!qr_file_read_small("/proc/self/stat", text, sizeof text))
        return 0;
    /* Field 22, counted from the parenthesis that ends the name (field 2), in clock ticks since
     * boot. */
    char *at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    long ticks_a_second = sysconf(_SC_CLK_TCK);
    if (at == NULL || ticks_a_second <= 0 || clock_gettime(CLOCK_BOOTTIME, &boot) != 0 ||
        clock_gettime(CLOCK_REALTIME, &real) != 0)
        return 0;
    double age = (double)boot.tv_sec + (double)boot.tv_nsec / 1e9 -
                 strtod(at, NULL) / (double)ticks_a_second;
    return (double)real.tv_sec + (double)real.tv_nsec / 1e9 - age;
}

static bool resident_bytes(uint64_t *out) {
    char text[128], *end;
    if (!qr_file_read_small("/proc/self/statm", text, sizeof text))
        return false;
    (void)strtoull(text, &end, 10);
    *out = strtoull(end, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

static bool open_fds(uint64_t *out) {
    struct stat about;
    *out = 0;
    if (stat("/proc/self/fd", &about) == 0 &&
        about.st_size > 0) { /* Linux 6.2 counts them for us */
        *out = (uint64_t)about.st_size;
        return true;
    }
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return false;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        *out += entry->d_name[0] != '.';
    closedir(dir);
    *out -= *out > 0; /* the directory's own */
    return true;
}

static uint64_t time_ns(struct timeval t) {
    return (uint64_t)t.tv_sec * QR_NS_PER_S + (uint64_t)t.tv_usec * 1000u;
}

void qr__metrics_process_render(const qr_metrics *metrics, qr_buf *out) {
    uint64_t number;
    struct rusage usage;
    struct rlimit files;
    if (resident_bytes(&number))
        qr__metric_alone(out, "querent_process_resident_memory_bytes", "gauge",
                         "Resident memory of the process.", number);
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        qr__metric_head(out, "querent_process_cpu_seconds_total", "counter",
                        "User and system CPU time of the process.");
        qr_buf_literal(out, "querent_process_cpu_seconds_total ");
        qr__metric_amount(out, time_ns(usage.ru_utime) + time_ns(usage.ru_stime), true);
        qr_buf_byte(out, '\n');
    }
    if (open_fds(&number))
        qr__metric_alone(out, "querent_process_open_fds", "gauge", "Open file descriptors.",
                         number);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        qr__metric_alone(out, "querent_process_max_fds", "gauge",
                         "Most file descriptors that may be open.", files.rlim_cur);
    if (metrics->start_time > 0) {
        qr__metric_head(out, "querent_process_start_time_seconds", "gauge",
                        "When the process began, in seconds since 1970.");
        qr_buf_printf(out, "querent_process_start_time_seconds %.2f\n", metrics->start_time);
    }
}
