#include "config_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ARGS_MAX 64

char *write_yaml(const char *yaml) {
    char path[] = "/tmp/querent-config-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
    close(fd);
    return strdup(path);
}

qr_status try_config(const char *yaml, const char *const *argv, qr_config **out, qr_error *error) {
    char *args[ARGS_MAX];
    char *path = yaml == NULL ? NULL : write_yaml(yaml);
    int argc = 0;
    if (path != NULL) {
        args[argc++] = "--config";
        args[argc++] = path;
    }
    for (; *argv != NULL && argc < ARGS_MAX; argv++)
        args[argc++] = (char *)*argv;
    qr_status status = qr_config_load(argc, args, out, error);
    if (path != NULL)
        unlink(path);
    free(path);
    return status;
}

qr_config *load_config(const char *yaml, const char *const *argv) {
    qr_config *config = NULL;
    qr_error error = {0};
    qr_status status = try_config(yaml, argv, &config, &error);
    cr_assert_eq(status, QR_OK, "%s", error.message);
    return config;
}

qr_error refusal(const char *yaml, const char *const *argv) {
    qr_config *config = NULL;
    qr_error error = {0};
    qr_status status = try_config(yaml, argv, &config, &error);
    cr_assert_eq(status, QR_BAD_OPTION);
    cr_assert_null(config);
    cr_assert_eq(error.status, QR_BAD_OPTION);
    return error;
}

void expect_refusal(const char *yaml, const char *part, const char *const *argv) {
    qr_error error = refusal(yaml, argv);
    cr_expect(strstr(error.message, part) != NULL, "expected \"%s\" in \"%s\"", part,
              error.message);
}
