/* engine/saved/saved_file.c: reading what only we can have written; writing by a temporary name. */
#include "engine/saved/saved_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODE 0600

static const char magic[8] = {'q', 'u', 'e', 'r', 'e', 'n', 't', 'P'};

#define HEAD_BYTES  (sizeof magic + sizeof(qr__saved_digest))
#define PIECE_BYTES (256u << 10) /* stays in L2 between the read and the hash */

const char *qr__saved_kind_name(qr__saved_kind kind) {
    return kind == QR__SAVED_PLAN ? "plan" : "proof";
}

void qr__saved_name(qr__saved_kind kind, const qr__saved_digest *key,
                    char out[QR__SAVED_NAME_BYTES]) {
    int n = snprintf(out, QR__SAVED_NAME_BYTES, "querent-");
    for (size_t i = 0; i < sizeof key->bytes; i++)
        n += snprintf(out + n, QR__SAVED_NAME_BYTES - (size_t)n, "%02x", key->bytes[i]);
    snprintf(out + n, QR__SAVED_NAME_BYTES - (size_t)n, ".%s", qr__saved_kind_name(kind));
}

/* Root may do as it likes with us anyway, and installs what others run. */
static bool is_trusted(const struct stat *about) {
    return (about->st_uid == geteuid() || about->st_uid == 0) &&
           (about->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

qr_status qr__saved_dir_open(const char *path, int *fd, qr_error *error) {
    struct stat about;
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0)
        return qr_error_set(error, QR_IO, "%s: %s", path, qr_file_fault(path, errno));
    if (fstat(*fd, &about) == 0 && is_trusted(&about))
        return QR_OK;
    close(*fd);
    *fd = -1;
    return qr_error_set(error, QR_IO, "%s: belongs to somebody else, or others may write to it",
                        path);
}

/* qr_source.read: a piece at a time, so that the hash finds it in the cache. */
static qr_status read_some(void *user, void *to, size_t bytes) {
    qr__saved_reader *reader = user;
    if (bytes > reader->end - reader->at)
        return QR_IO;
    for (size_t done = 0; done < bytes;) {
        size_t piece = qr_min(PIECE_BYTES, bytes - done);
        if (qr_file_read_at(reader->fd, reader->at, (char *)to + done, piece) != QR_OK)
            return QR_IO;
        qr__saved_hash_add(reader->hash, (char *)to + done, piece);
        reader->at += piece;
        done += piece;
    }
    return QR_OK;
}

static qr_status check_file(qr__saved_reader *reader, qr_error *error) {
    struct stat about;
    if (fstat(reader->fd, &about) != 0 || !S_ISREG(about.st_mode))
        return qr_error_set(error, QR_IO, "not a regular file");
    if (!is_trusted(&about))
        return qr_error_set(error, QR_IO, "belongs to somebody else, or others may write to it");
    if (about.st_size < (off_t)(HEAD_BYTES + sizeof(qr__saved_digest)))
        return qr_error_set(error, QR_IO, "too short");
    reader->end = (size_t)about.st_size - sizeof(qr__saved_digest);
    return QR_OK;
}

/* The key is in the file too: a file that was given another's name is not read. */
static qr_status read_head(qr__saved_reader *reader, const qr__saved_digest *key, qr_error *error) {
    char head[HEAD_BYTES];
    if (qr_source_read(&reader->source, head, sizeof head) != QR_OK ||
        memcmp(head, magic, sizeof magic) != 0 ||
        memcmp(head + sizeof magic, key->bytes, sizeof key->bytes) != 0)
        return qr_error_set(error, QR_IO, "does not begin as a file of this key does");
    return QR_OK;
}

/* NONBLOCK: a FIFO of that name must not hang us. */
qr_status qr__saved_reader_open(qr__saved_reader *reader, int dir, qr__saved_kind kind,
                                const qr__saved_digest *key, qr_error *error) {
    char name[QR__SAVED_NAME_BYTES];
    qr__saved_name(kind, key, name);
    *reader = (qr__saved_reader){.source = {read_some, reader}};
    reader->fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (reader->fd < 0)
        return qr_error_set(error, errno == ENOENT ? QR_NO_MODEL : QR_IO, "%s", strerror(errno));
    qr_status status = check_file(reader, error);
    if (status == QR_OK && (reader->hash = qr__saved_hash_create()) == NULL)
        status = qr_error_set(error, QR_NO_MEMORY, "no memory for a hash");
    if (status == QR_OK)
        status = read_head(reader, key, error);
    if (status != QR_OK)
        qr__saved_reader_close(reader);
    return status;
}

qr_status qr__saved_reader_end(qr__saved_reader *reader, qr_error *error) {
    qr__saved_digest written;
    qr__saved_digest read;
    if (reader->at != reader->end)
        return qr_error_set(error, QR_IO, "holds more than it should");
    qr__saved_hash_digest(reader->hash, &read);
    if (qr_file_read_at(reader->fd, reader->end, &written, sizeof written) != QR_OK ||
        memcmp(&written, &read, sizeof read) != 0)
        return qr_error_set(error, QR_IO, "its checksum is wrong");
    (void)futimens(reader->fd, NULL); /* not on a read-only file system: then nothing is trimmed */
    return QR_OK;
}

void qr__saved_reader_close(qr__saved_reader *reader) {
    close(reader->fd);
    qr__saved_hash_destroy(reader->hash);
    *reader = (qr__saved_reader){.fd = -1};
}

/* qr_sink.write */
static qr_status write_some(void *user, const void *data, size_t bytes) {
    qr__saved_writer *writer = user;
    qr__saved_hash_add(writer->hash, data, bytes);
    if (bytes == 0 || fwrite(data, bytes, 1, writer->file) == 1)
        return QR_OK;
    writer->fault = errno;
    return QR_IO;
}

/* Two containers with one directory may have one process number: only chance tells them apart. */
static int create_temporary(qr__saved_writer *writer) {
    qr_random random;
    qr_random_init(&random);
    snprintf(writer->temporary, sizeof writer->temporary, "%s.%016jx", writer->name,
             (uintmax_t)qr_random_next(&random));
    return openat(writer->dir, writer->temporary,
                  O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE);
}

/* Removes the file, if it still has its own name. */
static void dispose(qr__saved_writer *writer) {
    if (writer->temporary[0] != '\0')
        (void)unlinkat(writer->dir, writer->temporary, 0);
    if (writer->file != NULL)
        fclose(writer->file);
    qr__saved_hash_destroy(writer->hash);
    *writer = (qr__saved_writer){0};
}

qr_status qr__saved_writer_open(qr__saved_writer *writer, int dir, qr__saved_kind kind,
                                const qr__saved_digest *key, qr_error *error) {
    *writer = (qr__saved_writer){.sink = {write_some, writer}, .dir = dir};
    qr__saved_name(kind, key, writer->name);
    int fd = create_temporary(writer);
    if (fd < 0)
        return qr_error_set(error, QR_IO, "%s", strerror(errno));
    writer->file = fdopen(fd, "wb");
    writer->hash = qr__saved_hash_create();
    if (writer->file == NULL || writer->hash == NULL) {
        if (writer->file == NULL)
            close(fd);
        dispose(writer);
        return qr_error_set(error, QR_NO_MEMORY, "no memory for a file");
    }
    qr_status status = qr_sink_write(&writer->sink, magic, sizeof magic);
    if (status == QR_OK)
        status = qr_sink_write(&writer->sink, key->bytes, sizeof key->bytes);
    return status == QR_OK ? QR_OK : qr__saved_writer_close(writer, status, error);
}

/* The rename is the moment at which the file is there; only what is on the disk may be. */
static bool commit(qr__saved_writer *writer) {
    qr__saved_digest digest;
    qr__saved_hash_digest(writer->hash, &digest);
    if (fwrite(&digest, sizeof digest, 1, writer->file) != 1 || fflush(writer->file) != 0 ||
        fsync(fileno(writer->file)) != 0 ||
        renameat(writer->dir, writer->temporary, writer->dir, writer->name) != 0) {
        writer->fault = errno;
        return false;
    }
    writer->temporary[0] = '\0';
    (void)fsync(writer->dir); /* without it a crash may lose the file, never harm it */
    return true;
}

qr_status qr__saved_writer_close(qr__saved_writer *writer, qr_status status, qr_error *error) {
    if (status == QR_OK && !commit(writer))
        status = QR_IO;
    if (status != QR_OK)
        qr_error_set(error, status, "cannot be written: %s",
                     writer->fault != 0 ? strerror(writer->fault) : qr_status_sentence(status));
    dispose(writer);
    return status;
}
