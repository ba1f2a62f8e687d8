/* engine/saved/saved_trim.c: a directory of saved plans does not grow without bound. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/saved/saved_file.h"

#define ENTRIES_MAX       4096u /* looked at in one go: a directory may hold anything */
#define TEMPORARY_SECONDS 3600

typedef struct entry {
    char name[QR__SAVED_NAME_BYTES + 17];
    struct timespec used;
    bool temporary;
} entry;

static bool is_hex(const char *text, size_t len) {
    return strspn(text, "0123456789abcdef") >= len;
}

/* "querent-", the key in hex, ".plan"; a writer's has a point and 16 digits more. */
static bool is_ours(const char *name, qr__saved_kind kind, bool *temporary) {
    static const char before[] = "querent-";
    const char *behind = qr__saved_kind_name(kind);
    const size_t key = sizeof before - 1 + 2 * sizeof(qr__saved_digest);
    const size_t whole = key + 1 + strlen(behind);
    size_t len = strlen(name);
    if ((len != whole && len != whole + 17) || strncmp(name, before, sizeof before - 1) != 0 ||
        !is_hex(name + sizeof before - 1, 2 * sizeof(qr__saved_digest)) || name[key] != '.' ||
        strncmp(name + key + 1, behind, strlen(behind)) != 0)
        return false;
    *temporary = len > whole;
    return !*temporary || (name[whole] == '.' && is_hex(name + whole + 1, 16));
}

static bool is_later(struct timespec a, struct timespec b) {
    return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

/* The latest used first; of the same time, by name, so that two processes remove the same ones. */
static int by_use(const void *a, const void *b) {
    const entry *x = a;
    const entry *y = b;
    if (is_later(x->used, y->used))
        return -1;
    return is_later(y->used, x->used) ? 1 : strcmp(x->name, y->name);
}

static size_t list(int dir, qr__saved_kind kind, entry *entries) {
    int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* fdopendir takes it */
    DIR *stream = own < 0 ? NULL : fdopendir(own);
    size_t len = 0;
    if (stream == NULL) {
        if (own >= 0)
            close(own);
        return 0;
    }
    for (struct dirent *d = readdir(stream); d != NULL && len < ENTRIES_MAX; d = readdir(stream)) {
        struct stat about;
        entry *e = &entries[len];
        if (!is_ours(d->d_name, kind, &e->temporary) ||
            fstatat(dir, d->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(about.st_mode))
            continue;
        memcpy(e->name, d->d_name, strlen(d->d_name) + 1); /* is_ours knows its length */
        e->used = about.st_mtim;
        len++;
    }
    closedir(stream);
    return len;
}

/* Times are compared with each other, never with this machine's clock: a directory may be
 * shared. */
void qr__saved_dir_trim(int dir, qr__saved_kind kind, size_t keep) {
    entry *entries = calloc(ENTRIES_MAX, sizeof *entries);
    if (entries == NULL)
        return;
    size_t len = list(dir, kind, entries);
    qsort(entries, len, sizeof *entries, by_use);
    size_t files = 0;
    for (size_t i = 0; i < len; i++) {
        bool old = entries[0].used.tv_sec - entries[i].used.tv_sec > TEMPORARY_SECONDS;
        if (entries[i].temporary ? old : ++files > keep)
            (void)unlinkat(dir, entries[i].name, 0);
    }
    free(entries);
}
