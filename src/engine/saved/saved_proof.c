/* engine/saved/saved_proof.c: proofs in files, and the directory that they are in by default.
 *
 * A proof is three numbers behind the head that every file has, so the file is of a few bytes: what
 * it says is in its name. */
#include "engine/saved/saved_proof.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/saved/saved.h"
#include "engine/saved/saved_file.h"
#include "engine/saved/saved_key.h"

struct qr_saved_proof {
    const qr_model *model;
    int dir;
    qr__saved_digest key;
    qr_log_level faults;      /* nobody asked for the cache of their own: they are not warned */
    char path[QR_PATH_BYTES]; /* for the log */
};

qr_status qr__saved_proof_put(const qr_proof *proof, const qr_sink *sink) {
    const double numbers[] = {proof->error, proof->allowed, proof->cosine};
    return qr_sink_write(sink, numbers, sizeof numbers);
}

/* Also all zero: a plan of a model that came from safetensors. */
bool qr__saved_proof_get(const qr_source *source, qr_proof *out) {
    double numbers[3];
    if (qr_source_read(source, numbers, sizeof numbers) != QR_OK)
        return false;
    *out = (qr_proof){.error = numbers[0], .allowed = numbers[1], .cosine = numbers[2]};
    return out->error >= 0 && out->error <= out->allowed && out->allowed < 1 && out->cosine >= 0 &&
           out->cosine < 1.001;
}

/* A variable that is no absolute path does not count, as the XDG specification has it. */
static bool find_home(char out[QR_PATH_BYTES]) {
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    if (cache != NULL && cache[0] == '/')
        return qr_file_join(cache, "", out, QR_PATH_BYTES);
    return home != NULL && home[0] == '/' && qr_file_join(home, ".cache", out, QR_PATH_BYTES);
}

static bool make_dir(const char *path) {
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

/* The cache's own directory, and the one above it: both may be missing. */
qr_status qr_saved_home(char out[QR_PATH_BYTES], qr_error *error) {
    char above[QR_PATH_BYTES];
    if (!find_home(above) || !qr_file_join(above, "querent", out, QR_PATH_BYTES))
        return qr_error_set(error, QR_IO, "no directory: HOME is not set");
    if (!make_dir(above) || !make_dir(out))
        return qr_error_set(error, QR_IO, "%s: %s", out, strerror(errno));
    return QR_OK;
}

qr_saved_proof *qr_saved_proof_open(const char *dir, const qr_model *model,
                                    const qr_device *device) {
    qr_error error = {.message = "no memory"};
    char own[QR_PATH_BYTES], name[QR__SAVED_NAME_BYTES];
    const bool is_own = dir == NULL || dir[0] == '\0';
    if (!is_own && strcmp(dir, QR_SAVED_NOTHING) == 0)
        return NULL;
    qr_saved_proof *saved = calloc(1, sizeof *saved);
    qr_status status = QR_NO_MEMORY;
    if (saved != NULL) {
        saved->model = model;
        saved->dir = -1;
        saved->faults = is_own ? QR_LOG_DEBUG : QR_LOG_WARN;
        status = is_own ? qr_saved_home(own, &error) : QR_OK;
        if (status == QR_OK)
            status = qr__saved_dir_open(is_own ? own : dir, &saved->dir, &error);
    }
    if (status == QR_OK)
        status = qr__saved_proof_key(model, device, &saved->key, &error);
    if (status != QR_OK) {
        qr_log(is_own ? QR_LOG_DEBUG : QR_LOG_WARN, "no proof is kept: %s", error.message);
        qr_saved_proof_close(saved);
        return NULL;
    }
    qr__saved_name(QR__SAVED_PROOF, &saved->key, name);
    if (!qr_file_join(is_own ? own : dir, name, saved->path, sizeof saved->path))
        saved->path[0] = '\0';
    return saved;
}

bool qr_saved_proof_load(const qr_saved_proof *saved, qr_proof *out) {
    qr_error error = {0};
    qr__saved_reader reader;
    *out = (qr_proof){0};
    if (saved == NULL || !qr_model_unchanged(saved->model)) /* then the key is of other files */
        return false;
    qr_status status =
        qr__saved_reader_open(&reader, saved->dir, QR__SAVED_PROOF, &saved->key, &error);
    if (status == QR_OK) {
        if (!qr__saved_proof_get(&reader.source, out) || out->allowed <= 0)
            status = qr_error_set(&error, QR_IO, "holds no proof that can be told");
        else
            status = qr__saved_reader_end(&reader, &error);
        qr__saved_reader_close(&reader);
    }
    if (status == QR_OK)
        return true;
    if (status != QR_NO_MODEL)
        qr_log(saved->faults, "%s is not used: %s", saved->path, error.message);
    *out = (qr_proof){0};
    return false;
}

void qr_saved_proof_write(const qr_saved_proof *saved, const qr_proof *proof) {
    qr_error error = {0};
    qr__saved_writer writer;
    if (saved == NULL)
        return;
    if (!qr_model_unchanged(saved->model)) {
        qr_log(saved->faults, "%s is not written: the model's files changed while they were read",
               saved->path);
        return;
    }
    qr_status status =
        qr__saved_writer_open(&writer, saved->dir, QR__SAVED_PROOF, &saved->key, &error);
    if (status == QR_OK)
        status = qr__saved_writer_close(&writer, qr__saved_proof_put(proof, &writer.sink), &error);
    if (status == QR_OK)
        qr__saved_dir_trim(saved->dir, QR__SAVED_PROOF, QR_LIMIT_SAVED_PROOFS);
    else
        qr_log(saved->faults, "%s is not written: %s", saved->path, error.message);
}

void qr_saved_proof_close(qr_saved_proof *saved) {
    if (saved != NULL && saved->dir >= 0)
        close(saved->dir);
    free(saved);
}
