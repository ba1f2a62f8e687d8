/* engine/saved/saved_program.c: the file that this code runs from: the program, or libquerent.so in
 * somebody else's. A library may have been replaced on disk since it was loaded; then its path here
 * ends in " (deleted)", and cannot be opened. */
#include "engine/saved/saved_program.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char self[] = "/proc/self/exe";

/* Of one line of /proc/self/maps, "begin-end perms offset major:minor inode path": whether `here`
 * lies in it, and then the path (cut out of the line; NULL without one). */
static bool read_line(char *line, uintptr_t here, char **path) {
    char *at;
    uintptr_t begin = strtoull(line, &at, 16);
    uintptr_t end = *at == '-' ? strtoull(at + 1, NULL, 16) : 0;
    if (here < begin || here >= end)
        return false;
    *path = strchr(line, '/'); /* the first one: nothing before it has any */
    if (*path != NULL)
        (*path)[strcspn(*path, "\n")] = '\0';
    return true;
}

/* The path of the file that is mapped here (returns owned); NULL: not found. */
static char *find_mapping(void) {
    FILE *maps = fopen("/proc/self/maps", "re");
    char *line = NULL, *path = NULL, *found = NULL;
    size_t room = 0;
    bool here = false;
    while (maps != NULL && !here && getline(&line, &room, maps) > 0)
        here = read_line(line, (uintptr_t)self, &path);
    if (here && path != NULL)
        found = strdup(path);
    free(line);
    if (maps != NULL)
        fclose(maps);
    return found;
}

/* The executable can be opened by its link also when it was replaced. */
static bool is_executable(const char *path) {
    char target[PATH_MAX];
    ssize_t len = readlink(self, target, sizeof target);
    return len > 0 && qr_text_is((qr_text){target, (size_t)len}, path);
}

qr_status qr__saved_program_open(int *fd, size_t *bytes, qr_error *error) {
    char *path = find_mapping();
    if (path == NULL)
        return qr_error_set(error, QR_IO, "the file of this program is not known");
    qr_status status = qr_file_open(is_executable(path) ? self : path, SIZE_MAX, fd, bytes, error);
    free(path);
    return status;
}
