/* server/sandbox.c: which files and folders are left, and what the log is told.
 *
 * Of each model its folder's parent is left, not the folder alone: a new one is put in its place by
 * a rename or by turning a symbolic link, and a rule holds for what was there when it was made. The
 * folder that a link ends in counts likewise, and where links of single files end, which is how the
 * hub's own cache has them. */
#include "server/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/landlock.h"
#include "server/server_internal.h"
#include "server/system_calls.h"

typedef enum sandbox_mode { SANDBOX_AUTO, SANDBOX_ON, SANDBOX_OFF } sandbox_mode; /* the option's */

/* A sanitizer looks into its own process at the end, as a debugger does. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

/* What the C library, its name lookups (--host, --uds-group) and the engine read. */
static const char *const system_paths[] = {
    /* libraries */
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache",
    /* what the kernel tells, and gives */
    "/proc", "/sys/fs/cgroup", "/sys/devices/system", "/dev/null", "/dev/urandom",
    /* names */
    "/etc/group", "/etc/hosts", "/etc/host.conf", "/etc/gai.conf", "/etc/localtime",
    "/etc/resolv.conf", "/etc/nsswitch.conf"};

static bool is_dots(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static void allow_parent(qr__landlock *lock, const char *path) {
    char name[QR_PATH_BYTES], parent[QR_PATH_BYTES];
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') /* "models/minilm/" */
        len--;
    if (len < sizeof name && snprintf(name, sizeof name, "%.*s", (int)len, path) > 0 &&
        qr_file_parent(name, parent, sizeof parent))
        qr__landlock_allow(lock, parent, QR__LANDLOCK_READ);
}

/* `path`, what it stands in, and the same of where links lead. */
static void allow_around(qr__landlock *lock, const char *path) {
    char *resolved = realpath(path, NULL);
    qr__landlock_allow(lock, path, QR__LANDLOCK_READ);
    allow_parent(lock, path);
    if (resolved != NULL)
        allow_parent(lock, resolved);
    free(resolved);
}

/* Where links of a model's own files, and of those in its folders, lead. */
static void allow_links(qr__landlock *lock, const char *folder, int depth) {
    DIR *stream = opendir(folder);
    for (struct dirent *e; stream != NULL && (e = readdir(stream)) != NULL;) {
        char path[QR_PATH_BYTES];
        if (is_dots(e->d_name) || !qr_file_join(folder, e->d_name, path, sizeof path))
            continue;
        if (e->d_type == DT_LNK || e->d_type == DT_UNKNOWN)
            allow_around(lock, path);
        else if (e->d_type == DT_DIR && depth > 0)
            allow_links(lock, path, depth - 1);
    }
    if (stream != NULL)
        closedir(stream);
}

/* A model that is loaded again looks for the GPU's module again, beside the program or in its
 * prefix. */
static void allow_program(qr__landlock *lock) {
    char *self = realpath("/proc/self/exe", NULL);
    char folder[QR_PATH_BYTES], libraries[QR_PATH_BYTES];
    if (self != NULL && qr_file_parent(self, folder, sizeof folder)) {
        qr__landlock_allow(lock, folder, QR__LANDLOCK_READ);
        if (qr_file_join(folder, "../lib", libraries, sizeof libraries))
            qr__landlock_allow(lock, libraries, QR__LANDLOCK_READ);
    }
    free(self);
}

/* Keys are read again at SIGHUP. */
static void allow_keys(const qr__server *s, qr__landlock *lock, qr_option option) {
    const char *file = qr_config_text(s->config, option);
    if (file != NULL)
        allow_around(lock, file);
}

static void allow_folder(qr__landlock *lock, const char *folder) {
    allow_around(lock, folder);
    allow_links(lock, folder, 1);
}

/* True: it is a graph, whose proof is kept. One that is not there is the loader's to tell. */
static bool allow_model(qr__landlock *lock, const char *path) {
    qr_model_files files;
    qr_error unread;
    allow_around(lock, path);
    if (qr_model_files_find(path, &files, &unread) != QR_OK)
        return false;
    const char *const folders[] = {files.config_dir, files.sentence_dir, files.tokenizer_dir};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (i == 0 || strcmp(folders[i], folders[i - 1]) != 0) /* one folder has all, mostly */
            allow_folder(lock, folders[i]);
    if (files.onnx[0] != '\0')
        allow_parent(lock, files.onnx);
    return files.onnx[0] != '\0';
}

static void allow_all(const qr__server *s, qr__landlock *lock) {
    const char *uds = qr_config_text(s->config, QR_OPTION_UDS);
    char path[QR_PATH_BYTES];
    bool has_graph = false;
    for (size_t i = 0; i < sizeof system_paths / sizeof system_paths[0]; i++)
        qr__landlock_allow(lock, system_paths[i], QR__LANDLOCK_READ);
    allow_program(lock);
    for (size_t i = 0; i < s->specs_len; i++)
        has_graph = allow_model(lock, s->specs[i].dir) || has_graph;
    allow_keys(s, lock, QR_OPTION_API_KEY_FILE);
    allow_keys(s, lock, QR_OPTION_ADMIN_KEY_FILE);
    if (uds != NULL && qr_file_parent(uds, path, sizeof path))
        qr__landlock_allow(lock, path, QR__LANDLOCK_SOCKET);
    if (qr_engine_cache_dir(qr_config_text(s->config, QR_OPTION_CACHE_DIR), has_graph, path))
        qr__landlock_allow(lock, path, QR__LANDLOCK_WRITE);
}

/* What a reload may meet. */
#define DENIED                                                                                     \
    "Permission denied by --sandbox: what is read later must be where models and keys stood "      \
    "at the start, beside them, or beside what their links led to then (or start again, or say "   \
    "--sandbox off)"

static sandbox_mode mode_of(const qr__server *s) {
    return (sandbox_mode)qr_config_choice(s->config, QR_OPTION_SANDBOX);
}

/* A GPU's driver opens devices, starts threads and sockets of its own, in ways that change from one
 * version to the next. */
static bool uses_gpu(const qr__server *s) {
    bool named = false, may = false;
    for (size_t i = 0; i < s->specs_len; i++) {
        named = named || qr_device_is_away(s->specs[i].device);
        may = may || qr_device_is_auto(s->specs[i].device);
    }
    return named || (may && qr_device_check("cuda", NULL) == QR_OK);
}

/* With `auto` it is told, and nothing is taken. */
static qr_status do_without(qr__server *s, const char *what, int why, qr_error *error) {
    qr__sandbox *sandbox = &s->sandbox;
    snprintf(sandbox->lacks, sizeof sandbox->lacks, "%s%s%s%s", what, why == 0 ? "" : " (",
             why == 0 ? "" : strerror(why), why == 0 ? "" : ")");
    return mode_of(s) != SANDBOX_ON
               ? QR_OK
               : qr_error_set(error, QR_BAD_OPTION, "%s on: %s",
                              qr_config_source(s->config, QR_OPTION_SANDBOX), sandbox->lacks);
}

qr_status qr__sandbox_files(qr__server *s, qr_error *error) {
    qr__landlock lock;
    s->sandbox = (qr__sandbox){.on = false};
    if (mode_of(s) == SANDBOX_OFF)
        return QR_OK;
    if (IS_SANITIZED)
        return do_without(s, "none in a build with a sanitizer", 0, error);
    if (uses_gpu(s))
        return do_without(s, "none, a model may run on a GPU, whose driver needs what it takes", 0,
                          error);
    s->sandbox.on = true;
    s->sandbox.rings_why = qr__system_calls_no_rings();
    bool begun = qr__landlock_begin(&lock);
    if (begun)
        allow_all(s, &lock);
    if (begun && qr__landlock_enforce(&lock)) {
        qr_file_denied_by(DENIED);
        s->sandbox.files_version = lock.version;
        s->sandbox.paths = lock.allowed;
        return QR_OK;
    }
    return do_without(s, "files are not restricted: no Landlock here", errno, error);
}

qr_status qr__sandbox_calls(qr__server *s, qr_error *error) {
    const qr__sandbox *sandbox = &s->sandbox;
    if (sandbox->lacks[0] != '\0')
        qr_log(QR_LOG_INFO, "sandbox: %s", sandbox->lacks);
    if (!sandbox->on)
        return QR_OK;
    int why = sandbox->rings_why != 0 ? sandbox->rings_why : qr__system_calls_restrict();
    if (why != 0) {
        qr_status status =
            do_without(s, "system calls are not restricted: no seccomp here", why, error);
        if (status == QR_OK)
            qr_log(QR_LOG_INFO, "sandbox: %s", sandbox->lacks);
        return status;
    }
    if (sandbox->files_version > 0)
        qr_log(QR_LOG_INFO, "sandbox: files below %zu paths (Landlock %d), system calls of a list",
               sandbox->paths, sandbox->files_version);
    else
        qr_log(QR_LOG_INFO, "sandbox: system calls of a list");
    return QR_OK;
}
