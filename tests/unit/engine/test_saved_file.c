/* Files of saved plans: nothing that somebody else can have written is believed, nothing that is
 * damaged is used, nothing half written is ever there, and no fault fails a start. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/saved/saved_hash.h"
#include "model_patch.h"
#include "saved_fixture.h"

static char dir[64], plans[80];
static struct saved_answer good;
static const qr_engine_options automatic = {.precision = QR_PRECISION_AUTO};

/* The smallest model, and its plan's file. */
static void set_up(void) {
    saved_dir_create(dir);
    snprintf(plans, sizeof plans, "%s/plans", dir);
    make_model(dir, &tiny_model);
    saved_start(dir, automatic, &good);
}
static void tear_down(void) {
    temp_dir_remove(dir);
}

TestSuite(saved_file, .init = set_up, .fini = tear_down, .timeout = 300);

/* A start that must not use what is there; the next one finds a good file again. */
static void refused_and_written_again(const char *what) {
    static struct saved_answer answer;
    saved_start(dir, automatic, &answer);
    cr_assert(!answer.plan.from_cache, "%s was used", what);
    saved_equal(&answer, &good);
    saved_start(dir, automatic, &answer);
    cr_assert(answer.plan.from_cache, "%s was not replaced", what);
    saved_equal(&answer, &good);
}

Test(saved_file, any_flipped_byte_is_seen) {
    size_t len;
    char *data = saved_file_read(dir, &len);
    const size_t step = len / 400 + 1;
    for (size_t at = 0; at < len; at += at < 64 || at + 64 > len ? 1 : step) {
        data[at] = (char)(data[at] ^ (1 << at % 8));
        saved_file_write(dir, data, len);
        data[at] = (char)(data[at] ^ (1 << at % 8));
        refused_and_written_again("a flipped byte");
    }
    free(data);
}

Test(saved_file, any_other_length_is_seen) {
    size_t len;
    char *data = saved_file_read(dir, &len);
    char *longer = calloc(1, len + 17);
    memcpy(longer, data, len);
    for (size_t cut = 0; cut < len; cut += cut < 64 || cut + 64 > len ? 1 : len / 100 + 1) {
        saved_file_write(dir, data, cut);
        refused_and_written_again("a part of a file");
    }
    for (size_t more = 1; more <= 17; more += 4) {
        saved_file_write(dir, longer, len + more);
        refused_and_written_again("a file with more behind it");
    }
    free(longer);
    free(data);
}

/* Makes the checksum right, as somebody would who can write in our name. */
static void sign(char *data, size_t len) {
    qr__saved_digest digest;
    qr__saved_hash *hash = qr__saved_hash_create();
    cr_assert_not_null(hash);
    qr__saved_hash_add(hash, data, len - sizeof digest);
    qr__saved_hash_digest(hash, &digest);
    memcpy(data + len - sizeof digest, &digest, sizeof digest);
    qr__saved_hash_destroy(hash);
}

/* Behind a right checksum every number is still checked before it is relied on: a start may take
 * other weights, but never reads or writes where it should not (under ASan that is seen). */
Test(saved_file, signed_garbage_is_harmless) {
    static struct saved_answer answer;
    enum { PLAN_AT = 24, DIGEST = 16 };
    size_t len, used = 0;
    unsigned state = 17;
    char *data = saved_file_read(dir, &len), *changed = malloc(len);
    for (unsigned round = 0; round < 1500; round++) {
        memcpy(changed, data, len);
        unsigned flips = 1 + forward_random(&state, 3);
        for (unsigned i = 0; i < flips; i++) { /* the first 600 bytes are what is not floats */
            unsigned span = (unsigned)(len - PLAN_AT - DIGEST);
            unsigned within = round % 4 == 3 || span < 600 ? span : 600;
            changed[PLAN_AT + forward_random(&state, within)] = (char)forward_random(&state, 256);
        }
        size_t end = len;
        if (round % 8 == 7)
            end = PLAN_AT + DIGEST + forward_random(&state, (unsigned)(len - PLAN_AT - DIGEST));
        sign(changed, end);
        saved_file_write(dir, changed, end);
        saved_start(dir, automatic, &answer);
        used += answer.plan.from_cache;
    }
    cr_assert(used > 0, "no change passed: only the checksum was tested");
    free(changed);
    free(data);
}

static void path_of_file(char out[400]) {
    char name[300];
    cr_assert(saved_file_name(dir, name));
    snprintf(out, 400, "%s/%s", dir, name);
}

Test(saved_file, has_mode_0600) {
    char path[400];
    struct stat about;
    path_of_file(path);
    cr_assert_eq(stat(path, &about), 0);
    cr_assert_eq(about.st_mode, S_IFREG | 0600);
}

Test(saved_file, others_files_are_not_believed) {
    char path[400], elsewhere[100];
    path_of_file(path);
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", dir);
    cr_assert_eq(chmod(path, 0620), 0);
    refused_and_written_again("a file that the group may write");
    cr_assert_eq(chmod(path, 0602), 0);
    refused_and_written_again("a file that all may write");
    cr_assert_eq(rename(path, elsewhere), 0);
    cr_assert_eq(symlink(elsewhere, path), 0);
    refused_and_written_again("a link");
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    refused_and_written_again("a FIFO");
    if (geteuid() == 0) {
        cr_assert_eq(chown(path, 65534, 65534), 0);
        refused_and_written_again("a file of another user");
    }
}

/* A file under a name that is another key's: what cp and mv make of a cache. */
Test(saved_file, another_keys_file_is_not_believed) {
    char path[400], other[400], name[300];
    size_t len;
    char *data = saved_file_read(dir, &len);
    path_of_file(path);
    cr_assert_eq(unlink(path), 0);
    patch_file(dir, "config.json", "1e-12", "1e-11");
    saved_start(dir, automatic, &good);
    path_of_file(other);
    cr_assert(strcmp(path, other) != 0);
    cr_assert(saved_file_name(dir, name));
    write_file(dir, name, data, len);
    free(data);
    refused_and_written_again("another key's file");
}

/* A start in a directory that cannot be used: it is as if there were none. */
static void starts_without(const char *cache_dir) {
    static struct saved_answer answer;
    for (int i = 0; i < 2; i++) {
        saved_start(dir,
                    (qr_engine_options){.precision = QR_PRECISION_AUTO, .cache_dir = cache_dir},
                    &answer);
        cr_assert(!answer.plan.from_cache, "%s", cache_dir);
        saved_equal(&answer, &good);
    }
}

Test(saved_file, directories_are_checked) {
    char path[400], name[300];
    starts_without("/nonexistent/plans");
    snprintf(path, sizeof path, "%s/config.json", dir);
    starts_without(path);
    cr_assert_eq(chmod(plans, 0770), 0);
    starts_without(plans);
    cr_assert_eq(chmod(plans, 01777), 0);
    starts_without(plans);
    cr_assert_eq(chmod(plans, 0700), 0);
    cr_assert(saved_file_name(dir, name), "what was there stays");
    if (geteuid() == 0) {
        cr_assert_eq(chown(plans, 65534, 65534), 0);
        starts_without(plans);
        cr_assert_eq(chown(plans, 0, 0), 0);
    }
    static struct saved_answer answer;
    saved_start(dir, automatic, &answer);
    cr_assert(answer.plan.from_cache);
}

/* No room on the disk, as far as one process can have that. */
Test(saved_file, nothing_half_written_remains) {
    char path[400], name[300];
    struct rlimit old, low;
    static struct saved_answer answer;
    path_of_file(path);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t bytes = 0; bytes < 700; bytes += 100) {
        low = (struct rlimit){bytes, old.rlim_max};
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &low), 0);
        saved_start(dir, automatic, &answer);
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
        cr_assert(!answer.plan.from_cache);
        saved_equal(&answer, &good);
        cr_assert(!saved_file_name(dir, name), "%s", name);
    }
}

/* A file of dir/plans, used so many seconds after some time. */
static void make_used(const char *name, time_t used) {
    char path[400];
    snprintf(path, sizeof path, "plans/%s", name);
    write_text(dir, path, "");
    snprintf(path, sizeof path, "%s/plans/%s", dir, name);
    const struct timespec times[] = {{used, 0}, {used, 0}};
    cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

static bool is_there(const char *name) {
    return qr_file_exists(plans, name);
}

Test(saved_file, the_longest_unused_go) {
    enum { PLANS = 6, KEEP = 4 };
    static const char *const others[] = {"querent-0123.plan", "notes.txt",
                                         "querent-00000000000000000000000000000000.plan.tmp",
                                         "querent-0000000000000000000000000000000G.plan",
                                         "aquerent-00000000000000000000000000000000"};
    static const char old[] = "querent-00000000000000000000000000000000.plan.0000000000000001",
                      new[] = "querent-00000000000000000000000000000000.plan.0000000000000002";
    char path[400], names[PLANS][QR__SAVED_NAME_BYTES];
    path_of_file(path);
    cr_assert_eq(unlink(path), 0);
    for (int i = 0; i < PLANS; i++) { /* the fourth was used last, then the fifth, the sixth ... */
        qr__saved_name(QR__SAVED_PLAN, &(qr__saved_digest){{(uint8_t)(i * 40)}}, names[i]);
        make_used(names[i], 1000000 - (i + PLANS - 3) % PLANS * 1000);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        make_used(others[i], 1);
    make_used(old, 1000000 - 3601);
    make_used(new, 1000000 - 3599);
    int fd = open(plans, O_RDONLY | O_DIRECTORY);
    cr_assert(fd >= 0);
    qr__saved_dir_trim(fd, QR__SAVED_PLAN, KEEP);
    close(fd);
    for (int i = 0; i < PLANS; i++)
        cr_assert_eq(is_there(names[i]), (i + PLANS - 3) % PLANS < KEEP, "%d", i);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_assert(is_there(others[i]), "%s", others[i]);
    cr_assert(!is_there(old) && is_there(new));
}

/* A hit makes a file the last that goes. */
Test(saved_file, use_is_noted) {
    static struct saved_answer answer;
    char path[400];
    struct stat about;
    const struct timespec times[] = {{1000, 0}, {1000, 0}};
    path_of_file(path);
    cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
    saved_start(dir, automatic, &answer);
    cr_assert(answer.plan.from_cache);
    cr_assert_eq(stat(path, &about), 0);
    cr_assert(about.st_mtim.tv_sec > 1000);
}
