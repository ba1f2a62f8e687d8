/* engine/model_files.c: from a path to the names of a model's files, by what lies there. */
#include "engine/model_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ONNX_END   ".onnx"
#define NAMES_MOST 64u  /* .onnx files of a directory that are looked at */
#define TEXT_MOST  400u /* bytes of a message for their names */

/* What belongs together lies in one folder, known by any of these. */
static const char *const config_names[] = {"config.json", NULL};
static const char *const sentence_names[] = {"modules.json", "1_Pooling/config.json",
                                             "sentence_bert_config.json",
                                             "config_sentence_transformers.json", NULL};
static const char *const tokenizer_names[] = {"tokenizer.json", "vocab.txt", NULL};

static bool ends_in_onnx(const char *name) {
    const size_t len = strlen(name), end = strlen(ONNX_END);
    return len > end && name[len - end - 1] != '/' && strcmp(name + len - end, ONNX_END) == 0;
}

bool qr_model_path_is_onnx(const char *path) {
    struct stat about;
    return ends_in_onnx(path) && !(stat(path, &about) == 0 && S_ISDIR(about.st_mode));
}

/* Names of .onnx files, as they are given to --model behind the directory. */
typedef struct onnx_names {
    char *names[NAMES_MOST]; /* owned */
    size_t len;
    bool more; /* than fit */
} onnx_names;

static void free_names(onnx_names *found) {
    for (size_t i = 0; i < found->len; i++)
        free(found->names[i]);
    found->len = 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Not opendir: ThreadSanitizer does not see what that opens, and takes its descriptor for an
 * earlier one of the same number. */
static DIR *open_dir(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL && fd >= 0)
        close(fd);
    return dir;
}

/* `folder` is "" or "onnx/", of `dir`. A folder that cannot be read holds none. */
static bool add_names(const char *dir, const char *folder, onnx_names *found) {
    char path[QR_PATH_BYTES];
    DIR *stream = qr_file_join(dir, folder, path, sizeof path) ? open_dir(path) : NULL;
    bool enough = true;
    if (stream == NULL)
        return true;
    for (struct dirent *entry = readdir(stream); enough && entry != NULL; entry = readdir(stream)) {
        char name[sizeof entry->d_name + sizeof "onnx/"];
        snprintf(name, sizeof name, "%s%s", folder, entry->d_name);
        if (!qr_file_join(dir, name, path, sizeof path) || !qr_model_path_is_onnx(path))
            continue;
        found->more = found->len == NAMES_MOST;
        if (found->more)
            break;
        found->names[found->len] = strdup(name);
        enough = found->names[found->len] != NULL;
        found->len += enough;
    }
    closedir(stream);
    return enough;
}

static qr_status refuse_choice(const char *dir, const onnx_names *found, qr_error *error) {
    char text[TEXT_MOST] = "";
    size_t at = 0;
    for (size_t i = 0; i < found->len && at < sizeof text; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", i == 0 ? "" : ", ",
                               found->names[i]);
    return qr_error_set(error, QR_BAD_MODEL,
                        "%s: of several ONNX files none is named model.onnx (say which one: "
                        "%s/%s): %s%s",
                        dir, dir, found->names[0], text,
                        found->more || at >= sizeof text ? ", ..." : "");
}

/* The graph that a directory stands for; "": it has none. */
static qr_status choose_graph(const char *dir, char out[QR_PATH_BYTES], qr_error *error) {
    static const char *const first[] = {"model.onnx", "onnx/model.onnx"};
    onnx_names found = {.len = 0};
    const char *chosen = NULL;
    out[0] = '\0';
    for (size_t i = 0; chosen == NULL && i < sizeof first / sizeof first[0]; i++)
        if (qr_file_exists(dir, first[i]))
            chosen = first[i];
    qr_status status = QR_OK;
    if (chosen == NULL) {
        if (!add_names(dir, "", &found) || !add_names(dir, "onnx/", &found))
            status = qr_error_set(error, QR_NO_MEMORY, "%s: no memory for the files' names", dir);
        else if (found.len == 1)
            chosen = found.names[0];
        else if (found.len > 1) {
            qsort(found.names, found.len, sizeof found.names[0], by_name);
            status = refuse_choice(dir, &found, error);
        }
    }
    if (status == QR_OK && chosen != NULL && !qr_file_join(dir, chosen, out, QR_PATH_BYTES))
        status = qr_error_set(error, QR_BAD_MODEL, "%.200s...: the path is too long", dir);
    free_names(&found);
    return status;
}

static bool holds_any(const char *dir, const char *const *names) {
    while (*names != NULL && !qr_file_exists(dir, *names))
        names++;
    return *names != NULL;
}

static void look_for(const char *const *names, const char *beside, const char *above,
                     char out[QR_PATH_BYTES]) {
    const bool is_above = !holds_any(beside, names) && holds_any(above, names);
    snprintf(out, QR_PATH_BYTES, "%s", is_above ? above : beside);
}

static qr_status find_companions(qr_model_files *out, qr_error *error) {
    char beside[QR_PATH_BYTES], above[QR_PATH_BYTES];
    if (!qr_file_parent(out->onnx, beside, sizeof beside) ||
        !qr_file_parent(beside, above, sizeof above))
        return qr_error_set(error, QR_BAD_MODEL, "%.200s...: the path is too long", out->onnx);
    look_for(config_names, beside, above, out->config_dir);
    look_for(sentence_names, beside, above, out->sentence_dir);
    look_for(tokenizer_names, beside, above, out->tokenizer_dir);
    return QR_OK;
}

static qr_status of_directory(const char *dir, qr_model_files *out, qr_error *error) {
    const bool safetensors = qr_file_exists(dir, "model.safetensors");
    qr_status status = choose_graph(dir, out->onnx, safetensors ? NULL : error);
    if (!safetensors && (status != QR_OK || out->onnx[0] != '\0'))
        return status == QR_OK ? find_companions(out, error) : status;
    out->onnx_unread = status != QR_OK || out->onnx[0] != '\0';
    out->onnx[0] = '\0';
    snprintf(out->config_dir, sizeof out->config_dir, "%s", dir);
    snprintf(out->sentence_dir, sizeof out->sentence_dir, "%s", dir);
    snprintf(out->tokenizer_dir, sizeof out->tokenizer_dir, "%s", dir);
    return QR_OK;
}

static qr_status check_directory(const char *path, qr_error *error) {
    struct stat about;
    if (stat(path, &about) != 0)
        return qr_error_set(error, QR_BAD_MODEL, "%s: %s", path, strerror(errno));
    return S_ISDIR(about.st_mode)
               ? QR_OK
               : qr_error_set(error, QR_BAD_MODEL,
                              "%s: is a file (a model is a directory, or a file whose name ends "
                              "in " ONNX_END ")",
                              path);
}

qr_status qr_model_files_find(const char *path, qr_model_files *out, qr_error *error) {
    *out = (qr_model_files){.onnx_unread = false};
    if (strlen(path) >= QR_PATH_BYTES)
        return qr_error_set(error, QR_BAD_MODEL, "%.200s...: the path is too long", path);
    if (!qr_model_path_is_onnx(path)) {
        qr_status status = check_directory(path, error);
        return status == QR_OK ? of_directory(path, out, error) : status;
    }
    snprintf(out->onnx, sizeof out->onnx, "%s", path);
    return find_companions(out, error);
}

size_t qr_model_files_onnx_bytes(const qr_model_files *files) {
    char beside[QR_PATH_BYTES], path[QR_PATH_BYTES];
    size_t sum = 0;
    if (files->onnx[0] == '\0' || !qr_file_parent(files->onnx, beside, sizeof beside))
        return 0;
    const char *slash = strrchr(files->onnx, '/');
    const char *name = slash == NULL ? files->onnx : slash + 1;
    DIR *stream = open_dir(beside);
    if (stream == NULL)
        return 0;
    for (struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        struct stat about;
        if (strncmp(entry->d_name, name, strlen(name)) == 0 &&
            qr_file_join(beside, entry->d_name, path, sizeof path) && stat(path, &about) == 0 &&
            S_ISREG(about.st_mode))
            sum += (size_t)about.st_size;
    }
    closedir(stream);
    return sum;
}
