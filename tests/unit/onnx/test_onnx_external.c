/* Files beside a model: each way to reach a file that is not the model's own, and each range that
 * is not its tensor's, is refused. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "onnx_maker.h"

static char dir[64], outside[80];

/* A folder with the data of 16 bytes in it, and a secret outside it. */
static void set_up(void) {
    char path[128];
    snprintf(dir, sizeof dir, "/tmp/querent-onnx-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    snprintf(outside, sizeof outside, "%s.outside", dir);
    onnx_maker_write_bytes(outside, "0123456789abcdef", 16);
    snprintf(path, sizeof path, "%s/data", dir);
    onnx_maker_write_bytes(path, "0123456789abcdef", 16);
}
static void tear_down(void) {
    static const char *const names[] = {"data",  "model.onnx", "link",    "hard",
                                        "inner", "fifo",       "inner/d", "inner"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        remove(path);
    }
    unlink(outside);
    rmdir(dir);
}

TestSuite(onnx_external, .init = set_up, .fini = tear_down);

static void add(onnx_maker *m, Onnx__TensorProto *t, const char *key, const char *value) {
    Onnx__StringStringEntryProto *entry = onnx_maker_alloc(m, sizeof *entry);
    onnx__string_string_entry_proto__init(entry);
    entry->key = onnx_maker_text(m, key);
    entry->value = onnx_maker_text(m, value);
    t->external_data[t->n_external_data++] = entry;
}

/* A tensor of `floats` floats at that place; NULL: not said. */
static Onnx__TensorProto *tensor(onnx_maker *m, const char *name, int64_t floats,
                                 const char *location, const char *offset, const char *length) {
    Onnx__TensorProto *t =
        onnx_maker_initializer(m, name, QR_ONNX_FLOAT, 1, (int64_t[]){floats}, "", 0);
    t->has_raw_data = 0;
    t->has_data_location = 1;
    t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    t->external_data = onnx_maker_alloc(m, 8 * sizeof(void *));
    if (location != NULL)
        add(m, t, "location", location);
    if (offset != NULL)
        add(m, t, "offset", offset);
    if (length != NULL)
        add(m, t, "length", length);
    return t;
}

static qr_status try(const onnx_maker *m, qr_error *error) {
    char path[128];
    qr_onnx_graph *graph = NULL;
    snprintf(path, sizeof path, "%s/model.onnx", dir);
    onnx_maker_write(m, path);
    const qr_status status = qr_onnx_open(path, &graph, error);
    cr_assert_eq(status == QR_OK, graph != NULL);
    qr_onnx_close(graph);
    return status;
}

/* A tensor of four floats at that place is refused, and the message says so. */
static void refused(const char *location, const char *offset, const char *length,
                    const char *says) {
    qr_error error = {0};
    onnx_maker *m = onnx_maker_create(17);
    tensor(m, "w", 4, location, offset, length);
    cr_assert_eq(try(m, &error), QR_BAD_MODEL, "%s", says);
    cr_assert_not_null(strstr(error.message, "model.onnx: tensor `w`: "), "%s", error.message);
    cr_assert_not_null(strstr(error.message, says), "\"%s\" does not say \"%s\"", error.message,
                       says);
    onnx_maker_destroy(m);
}

static void accepted(const char *location, const char *offset, const char *length) {
    qr_error error = {0};
    onnx_maker *m = onnx_maker_create(17);
    tensor(m, "w", 4, location, offset, length);
    const qr_status status = try(m, &error);
    cr_assert_eq(status, QR_OK, "%s", error.message);
    onnx_maker_destroy(m);
}

static void make_path(char out[128], const char *name) {
    snprintf(out, 128, "%s/%s", dir, name);
}

Test(onnx_external, names) {
    char up[128];
    char longest[300];
    accepted("data", NULL, NULL);
    refused(NULL, NULL, NULL, "has no `location`");
    refused("", NULL, NULL, "not a plain name");
    refused(".", NULL, NULL, "not a plain name");
    refused("..", NULL, NULL, "not a plain name");
    refused("./data", NULL, NULL, "not a plain name");
    refused("inner/d", NULL, NULL, "not a plain name");
    refused(outside, NULL, NULL, "not a plain name");
    snprintf(up, sizeof up, "../%s", strrchr(outside, '/') + 1);
    refused(up, NULL, NULL, "not a plain name");
    refused("da\nta", NULL, NULL, "not a plain name");
    refused("da\xff", NULL, NULL, "not a plain name");
    memset(longest, 'a', sizeof longest);
    longest[299] = '\0';
    refused(longest, NULL, NULL, "not a plain name");
    refused("absent", NULL, NULL, "its file `absent` cannot be opened: No such file");
}

Test(onnx_external, files) {
    char path[128];
    char other[128];
    make_path(path, "link");
    cr_assert_eq(symlink(outside, path), 0);
    refused("link", NULL, NULL, "its file `link` is a symbolic link");
    make_path(path, "hard");
    cr_assert_eq(link(outside, path), 0);
    refused("hard", NULL, NULL, "its file `hard` has 2 names");
    make_path(path, "fifo");
    cr_assert_eq(mkfifo(path, 0600), 0);
    refused("fifo", NULL, NULL, "its file `fifo` is not a regular file");
    make_path(path, "inner");
    cr_assert_eq(mkdir(path, 0700), 0);
    refused("inner", NULL, NULL, "its file `inner` is not a regular file");
    make_path(path, "data");
    make_path(other, "inner/d");
    cr_assert_eq(rename(path, other), 0);
    make_path(path, "data");
    cr_assert_eq(symlink("inner/d", path), 0); /* within the folder: not followed either */
    refused("data", NULL, NULL, "its file `data` is a symbolic link");
}

Test(onnx_external, ranges) {
    accepted("data", "0", "16");
    refused("data", "1", NULL, "bytes 1 to 17 lie outside its file `data` of 16");
    refused("data", "17", NULL, "lie outside its file");
    refused("data", "9223372036854775807", NULL, "lie outside its file");
    refused("data", "9223372036854775808", NULL, "is no number");
    refused("data", "18446744073709551608", NULL, "is no number");
    refused("data", "-1", NULL, "is no number");
    refused("data", "1x", NULL, "is no number");
    refused("data", "", NULL, "is no number");
    refused("data", NULL, "0x10", "is no number");
    refused("data", NULL, "15", "has 15 bytes, its shape and type need 16");
    refused("data", NULL, "17", "has 17 bytes, its shape and type need 16");
}

Test(onnx_external, said_twice) {
    static const char *const keys[] = {"location", "offset", "length"};
    static const char *const values[] = {"data", "0", "16"};
    for (size_t i = 0; i < 3; i++) {
        qr_error error = {0};
        onnx_maker *m = onnx_maker_create(17);
        add(m, tensor(m, "w", 4, "data", "0", "16"), keys[i], values[i]);
        cr_assert_eq(try(m, &error), QR_BAD_MODEL);
        cr_assert_not_null(strstr(error.message, "twice"), "%s", error.message);
        onnx_maker_destroy(m);
    }
}

/* Without this, a file of a gigabyte and a model of a megabyte would ask for a petabyte. */
Test(onnx_external, overlapping) {
    qr_error error = {0};
    onnx_maker *m = onnx_maker_create(17);
    tensor(m, "a", 2, "data", NULL, NULL);
    tensor(m, "b", 2, "data", "8", NULL);
    cr_assert_eq(try(m, &error), QR_OK, "%s", error.message);
    tensor(m, "c", 1, "data", "4", NULL);
    cr_assert_eq(try(m, &error), QR_BAD_MODEL);
    cr_assert_not_null(strstr(error.message, "tensor `c`: tensors take more bytes of `data`"), "%s",
                       error.message);
    onnx_maker_destroy(m);
}

Test(onnx_external, too_many_files) {
    qr_error error = {0};
    char name[32];
    char path[128];
    onnx_maker *m = onnx_maker_create(17);
    for (size_t i = 0; i <= QR_LIMIT_ONNX_FILES; i++) {
        snprintf(name, sizeof name, "f%zu", i);
        make_path(path, name);
        onnx_maker_write_bytes(path, "0123", 4);
        tensor(m, name, 1, name, NULL, NULL);
    }
    const qr_status status = try(m, &error);
    for (size_t i = 0; i <= QR_LIMIT_ONNX_FILES; i++) {
        snprintf(name, sizeof name, "f%zu", i);
        make_path(path, name);
        unlink(path);
    }
    cr_assert_eq(status, QR_BAD_MODEL);
    cr_assert_not_null(strstr(error.message, "tensor `f1024`: the model names more than 1024"),
                       "%s", error.message);
    onnx_maker_destroy(m);
}

/* A model named without a folder keeps its files in the current one. */
Test(onnx_external, current_folder) {
    qr_error error = {0};
    qr_onnx_graph *graph = NULL;
    onnx_maker *m = onnx_maker_create(17);
    tensor(m, "w", 4, "data", NULL, NULL);
    cr_assert_eq(try(m, &error), QR_OK);
    cr_assert_eq(chdir(dir), 0);
    cr_assert_eq(qr_onnx_open("model.onnx", &graph, &error), QR_OK, "%s", error.message);
    cr_assert_eq(memcmp(graph->values[0].constant->floats, "0123456789abcdef", 16), 0);
    qr_onnx_close(graph);
    cr_assert_eq(chdir("/"), 0);
    onnx_maker_destroy(m);
}
