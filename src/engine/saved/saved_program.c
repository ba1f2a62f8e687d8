/* engine/saved/saved_program.c: the file that this code runs from: the program, or libquerent.so in
 * somebody else's. A library may have been replaced on disk since it was loaded; what lies under
 * its name then is not what runs, and its inode tells. */
#include "engine/saved/saved_program.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char self[] = "/proc/self/exe";

/* Of one line of /proc/self/maps, "begin-end perms offset major:minor inode path": whether `here`
 * lies in it, and then inode and path (cut out of the line; NULL without one). */
static bool read_line(char *line, uintptr_t here, unsigned long long *inode, char **path) {
    char *at;
    uintptr_t begin = strtoull(line, &at, 16);
    uintptr_t end = *at == '-' ? strtoull(at + 1, &at, 16) : 0;
    if (here < begin || here >= end)
        return false;
    for (int field = 0; field < 3 && at != NULL; field++) /* perms, offset, device */
        at = strchr(at + 1, ' ');
    *inode = at == NULL ? 0 : strtoull(at, &at, 10);
    *path = at == NULL ? NULL : strchr(at, '/');
    if (*path != NULL)
        (*path)[strcspn(*path, "\n")] = '\0';
    return true;
}

/* The inode of the file that is mapped here, and its path (returns owned, NULL: not found). */
static char *find_mapping(unsigned long long *inode) {
    FILE *maps = fopen("/proc/self/maps", "re");
    char *line = NULL, *path = NULL, *found = NULL;
    size_t room = 0;
    bool here = false;
    while (maps != NULL && !here && getline(&line, &room, maps) > 0)
        here = read_line(line, (uintptr_t)self, inode, &path);
    if (here && path != NULL)
        found = strdup(path);
    free(line);
    if (maps != NULL)
        fclose(maps);
    return found;
}

static bool is_inode(const char *path, unsigned long long inode) {
    struct stat about;
    return stat(path, &about) == 0 && about.st_ino == inode;
}

qr_status qr__saved_program_open(int *fd, size_t *bytes, qr_error *error) {
    unsigned long long inode = 0;
    struct stat about;
    char *path = find_mapping(&inode);
    if (path == NULL)
        return qr_error_set(error, QR_IO, "the file of this program is not known");
    qr_status status =
        qr_file_open(is_inode(self, inode) ? self : path, SIZE_MAX, fd, bytes, error);
    if (status == QR_OK && (fstat(*fd, &about) != 0 || about.st_ino != inode)) {
        close(*fd);
        status = qr_error_set(error, QR_IO, "%s was replaced since it was loaded", path);
    }
    free(path);
    return status;
}
