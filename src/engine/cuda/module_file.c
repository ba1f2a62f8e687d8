/* engine/cuda/module_file.c: from this program's own place to the module's. */
#include "engine/cuda/module_file.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef QR_LIBDIR
#define QR_LIBDIR "lib" /* CMAKE_INSTALL_LIBDIR */
#endif

static void tell(const char *message) {
    qr_log(QR_LOG_ERROR, "%s", message);
}

static atomic_bool is_hung;

static void remember_hang(void) {
    atomic_store(&is_hung, true);
}

bool qr__module_file_hung(void) {
    return atomic_load(&is_hung);
}

static const qr__cuda_host host = {
    .abi = QR__CUDA_ABI,
    .bert_release_all = qr_bert_release_all,
    .tell = tell,
    .hung = remember_hang,
};

qr_status qr__module_file_places(const char *self, bool is_program,
                                 char out[QR__MODULE_FILE_PLACES][4096], qr_error *error) {
    const char *slash = strrchr(self, '/');
    int folder = slash == NULL ? 0 : (int)(slash - self);
    const char *installed = is_program ? "../" QR_LIBDIR "/querent/" : "querent/";
    int a = snprintf(out[0], 4096, "%.*s/" QR__MODULE_FILE_NAME, folder, self);
    int b = snprintf(out[1], 4096, "%.*s/%s" QR__MODULE_FILE_NAME, folder, self, installed);
    if (self[0] != '/' || a >= 4096 || b >= 4096)
        return qr_error_set(error, QR_BAD_OPTION,
                            "device cuda: the program's own path is too long");
    return QR_OK;
}

/* The file that this code was loaded from. Of a program's the loader knows only what it was called
 * by, which anybody chooses: the system says where it is. */
static bool find_self(char out[4096], bool *is_program) {
    Dl_info info;
    struct link_map *map = NULL;
    void *found = &map;
    if (dladdr1((const void *)(uintptr_t)&host, &info, found, RTLD_DL_LINKMAP) == 0 || map == NULL)
        return false;
    *is_program = map->l_name[0] == '\0';
    char *self = realpath(*is_program ? "/proc/self/exe" : map->l_name, NULL);
    bool fits = self != NULL && strlen(self) < 4096;
    if (fits)
        snprintf(out, 4096, "%s", self);
    free(self);
    return fits;
}

qr_status qr__module_file_check(const qr__cuda_module *module, const char *path, qr_error *error) {
    static const size_t sizes[QR__CUDA_SIZES_LEN] = QR__CUDA_SIZES;
    if (module == NULL || module->abi != QR__CUDA_ABI)
        return qr_error_set(error, QR_BAD_OPTION,
                            "device cuda: %s was made for another version of this program "
                            "(interface %u, not %u); install both from one build",
                            path, module == NULL ? 0 : module->abi, QR__CUDA_ABI);
    if (strcmp(module->version, QR_VERSION) != 0)
        return qr_error_set(error, QR_BAD_OPTION,
                            "device cuda: %s is of version %.32s and this program of " QR_VERSION
                            "; install both from one build",
                            path, module->version);
    if (strcmp(module->stamp, qr__cuda_stamp) != 0 ||
        memcmp(module->sizes, sizes, sizeof sizes) != 0)
        return qr_error_set(error, QR_BAD_OPTION,
                            "device cuda: %s was built from other sources than this program "
                            "(%.32s, not %s); install both from one build",
                            path, module->stamp, qr__cuda_stamp);
    return QR_OK;
}

static qr_status open_file(const char *path, const qr__cuda_module **out, qr_error *error) {
    void *file = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (file == NULL)
        return qr_error_set(error, QR_BAD_OPTION,
                            "device cuda: the GPU module cannot be loaded: %.512s", dlerror());
    void *symbol = dlsym(file, QR__CUDA_MODULE_SYMBOL);
    qr__cuda_module_get *get;
    memcpy(&get, &symbol, sizeof get); /* a pointer to data becomes one to a function */
    const qr__cuda_module *module = symbol == NULL ? NULL : get(&host);
    qr_status status = qr__module_file_check(module, path, error);
    if (status == QR_OK)
        *out = module;
    else
        dlclose(file);
    return status;
}

static qr_status find_file(const qr__cuda_module **out, qr_error *error) {
    char self[4096], places[QR__MODULE_FILE_PLACES][4096];
    bool is_program;
    if (!find_self(self, &is_program))
        return qr_error_set(error, QR_BAD_OPTION,
                            "device cuda: the program cannot find its own file to look beside it");
    qr_status status = qr__module_file_places(self, is_program, places, error);
    if (status != QR_OK)
        return status;
    for (size_t i = 0; i < QR__MODULE_FILE_PLACES; i++)
        if (access(places[i], F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR))
            return open_file(places[i], out, error);
    return qr_error_set(error, QR_NOT_IMPLEMENTED,
                        "device cuda: this build has no GPU part: neither %.400s nor %.400s is "
                        "there; build it with nvcc (docs/CUDA.md)",
                        places[0], places[1]);
}

qr_status qr__module_file_load(const qr__cuda_module **out, qr_error *error) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static const qr__cuda_module *loaded;
    pthread_mutex_lock(&lock);
    qr_status status = loaded != NULL ? QR_OK : find_file(&loaded, error);
    *out = loaded;
    pthread_mutex_unlock(&lock);
    return status;
}
