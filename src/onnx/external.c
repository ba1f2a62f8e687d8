/* onnx/external.c: tensors that stand in files beside the model.
 *
 * Four faults of other readers (a path with "..", one by a symbolic link, one by a hard link, a
 * sparse tensor's own way round the check) were one idea each time: a model that names any file of
 * the machine. So: a plain name in the model's own folder, opened so that no link is followed, a
 * regular file of one name, ranges inside it, and no more bytes asked for than it has. It is read,
 * never mapped, so that a later change cannot reach us.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "onnx/reader.h"

/* What a tensor says of its place. */
typedef struct place {
    const char *location, *offset, *length; /* NULL: not said */
} place;

static qr_status read_place(const qr__onnx_reader *r, const char *where,
                            const Onnx__TensorProto *from, place *out) {
    *out = (place){NULL, NULL, NULL};
    for (size_t i = 0; i < from->n_external_data; i++) {
        const char *key = qr__onnx_text(from->external_data[i]->key);
        const char **slot = strcmp(key, "location") == 0 ? &out->location
                            : strcmp(key, "offset") == 0 ? &out->offset
                            : strcmp(key, "length") == 0 ? &out->length
                                                         : NULL;
        if (slot != NULL && *slot != NULL)
            return qr__onnx_refuse(r, where, "its external data has `%s` twice", key);
        if (slot != NULL)
            *slot = qr__onnx_text(from->external_data[i]->value);
    }
    if (out->location == NULL)
        return qr__onnx_refuse(r, where, "its external data has no `location`");
    return QR_OK;
}

static bool name_is_plain(const char *name) {
    const size_t len = strlen(name);
    if (len == 0 || len > 255 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    for (size_t i = 0; i < len; i++)
        if (name[i] == '/' || (unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return false;
    return qr_utf8_valid(qr_text_of(name));
}

/* The folder that the model's path names; links on the way to it are the user's own. */
static int open_dir(const char *path) {
    char dir[QR_PATH_BYTES];
    const char *slash = strrchr(path, '/');
    const size_t len = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    if (len >= sizeof dir)
        return -1;
    memcpy(dir, path, len);
    dir[len] = '\0';
    return open(len == 0 ? "." : dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* The name is plain, so where the call is missing (old kernels, emulators, some sandboxes) openat
 * without following a link comes to the same. */
static int open_beneath(int dir_fd, const char *name) {
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    const long fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof how);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        return openat(dir_fd, name, (int)how.flags);
    return (int)fd;
}

static qr__onnx_beside *find_beside(const qr__onnx_reader *r, const char *name) {
    qr__onnx_beside *file = r->beside;
    while (file != NULL && strcmp(file->name, name) != 0)
        file = file->next;
    return file;
}

/* The first time that a file is named: its size is what its tensors may ask for together. */
static qr_status add_beside(qr__onnx_reader *r, const char *where, const char *name, size_t bytes) {
    if (r->beside_count == QR_LIMIT_ONNX_FILES)
        return qr__onnx_refuse(r, where, "the model names more than %u files beside it",
                               QR_LIMIT_ONNX_FILES);
    qr__onnx_beside *file = qr__onnx_array(r, 1, sizeof *file);
    if (file == NULL)
        return qr__onnx_no_memory(r);
    *file = (qr__onnx_beside){.next = r->beside, .name = name, .bytes = bytes, .left = bytes};
    r->beside = file;
    r->beside_count++;
    return qr__onnx_part_add(r, name, r->fd);
}

static qr_status check_beside(qr__onnx_reader *r, const char *where, const char *name) {
    struct stat about;
    if (fstat(r->fd, &about) != 0 || !S_ISREG(about.st_mode))
        return qr__onnx_refuse(r, where, "its file `%s` is not a regular file", name);
    if (about.st_nlink != 1)
        return qr__onnx_refuse(r, where,
                               "its file `%s` has %ju names (hard links): it might belong to "
                               "another folder; copy it",
                               name, (uintmax_t)about.st_nlink);
    if (about.st_size < 0 || (uintmax_t)about.st_size > QR_LIMIT_WEIGHTS_FILE_BYTES)
        return qr__onnx_refuse(r, where, "its file `%s` has more than %ju bytes", name,
                               (uintmax_t)QR_LIMIT_WEIGHTS_FILE_BYTES);
    const size_t bytes = (size_t)about.st_size;
    qr__onnx_beside *file = find_beside(r, name);
    if (file != NULL && file->bytes != bytes)
        return qr__onnx_refuse(r, where, "its file `%s` changed while it was read", name);
    const qr_status status = file == NULL ? add_beside(r, where, name, bytes) : QR_OK;
    if (status == QR_OK)
        r->open = file == NULL ? r->beside : file;
    return status;
}

/* Makes `name` the open file. The last one stays open: nearly always all tensors share it. */
static qr_status open_beside(qr__onnx_reader *r, const char *where, const char *name) {
    if (r->open != NULL && strcmp(r->open->name, name) == 0)
        return QR_OK;
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    r->open = NULL;
    if (!name_is_plain(name))
        return qr__onnx_refuse(r, where,
                               "its data is in a file that is not a plain name beside the model "
                               "(no folders, no `..`)");
    if (r->dir_fd < 0)
        r->dir_fd = open_dir(r->graph->path);
    r->fd = r->dir_fd < 0 ? -1 : open_beneath(r->dir_fd, name);
    if (r->fd < 0 && errno == ELOOP)
        return qr__onnx_refuse(
            r, where, "its file `%s` is a symbolic link, which is not followed (copy with cp -L)",
            name);
    if (r->fd < 0)
        return qr__onnx_refuse(r, where,
                               "its file `%s` cannot be opened: %s (is it beside the model?)", name,
                               strerror(errno));
    return check_beside(r, where, name);
}

static bool read_number(const char *text, size_t otherwise, size_t *out) {
    uint64_t number = otherwise;
    if (text != NULL && !qr_text_to_u64(qr_text_of(text), INT64_MAX, &number))
        return false;
    *out = (size_t)number;
    return true;
}

static qr_status read_range(qr__onnx_reader *r, const char *where, size_t offset, size_t bytes,
                            uint8_t **out) {
    const qr__onnx_beside *file = r->open;
    uint8_t *data = malloc(qr_max(bytes, 1));
    if (data == NULL)
        return qr__onnx_no_memory(r);
    if (qr_file_read_at(r->fd, offset, data, bytes) != QR_OK) {
        free(data);
        return qr__onnx_refuse(r, where, "its file `%s` could not be read (truncated meanwhile?)",
                               file->name);
    }
    *out = data;
    return QR_OK;
}

qr_status qr__onnx_external_read(qr__onnx_reader *r, const char *where,
                                 const Onnx__TensorProto *from, size_t bytes, uint8_t **out) {
    place at;
    size_t offset = 0;
    size_t length = 0;
    qr_status status = read_place(r, where, from, &at);
    if (status == QR_OK)
        status = open_beside(r, where, at.location);
    if (status != QR_OK)
        return status;
    if (!read_number(at.offset, 0, &offset) || !read_number(at.length, bytes, &length))
        return qr__onnx_refuse(r, where, "`offset` or `length` of its external data is no number");
    if (length != bytes)
        return qr__onnx_refuse(r, where,
                               "its external data has %zu bytes, its shape and type need %zu",
                               length, bytes);
    if (offset > r->open->bytes || bytes > r->open->bytes - offset)
        return qr__onnx_refuse(r, where,
                               "bytes %zu to %zu lie outside its file `%s` of %zu (truncated?)",
                               offset, offset + bytes, r->open->name, r->open->bytes);
    if (bytes > r->open->left)
        return qr__onnx_refuse(
            r, where, "tensors take more bytes of `%s` than it has: they overlap", r->open->name);
    r->open->left -= bytes;
    return read_range(r, where, offset, bytes, out);
}

void qr__onnx_external_close(qr__onnx_reader *r) {
    if (r->fd >= 0)
        close(r->fd);
    if (r->dir_fd >= 0)
        close(r->dir_fd);
    r->fd = r->dir_fd = -1;
}
