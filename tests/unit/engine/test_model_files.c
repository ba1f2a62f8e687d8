/* tests: which files a model's path stands for. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/model_info.h"
#include "model_maker.h"

static char dir[64];
static qr_model_files files;
static qr_error error;

static void setup(void) {
    temp_dir_create(dir);
    error = (qr_error){0};
}

static void teardown(void) {
    temp_dir_remove(dir);
}

TestSuite(model_files, .init = setup, .fini = teardown);

static const char *in_dir(const char *name) {
    static char paths[4][192];
    static size_t next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s%s%s", dir, name[0] == '\0' ? "" : "/", name);
    return path;
}

static void make_folder(const char *name) {
    cr_assert_eq(mkdir(in_dir(name), 0700), 0, "%s", name);
}

static void find(const char *path) {
    cr_assert_eq(qr_model_files_find(path, &files, &error), QR_OK, "%s", error.message);
}

static void expect(const char *onnx, const char *config, const char *sentence,
                   const char *tokenizer) {
    cr_expect_str_eq(files.onnx, onnx);
    cr_expect_str_eq(files.config_dir, config);
    cr_expect_str_eq(files.sentence_dir, sentence);
    cr_expect_str_eq(files.tokenizer_dir, tokenizer);
}

Test(model_files, of_a_directory_in_order) {
    static const char *const names[] = {"onnx/other.onnx", "onnx/model.onnx", "model.onnx"};
    make_folder("onnx");
    find(dir);
    expect("", dir, dir, dir);
    for (size_t i = 0; i < 3; i++) { /* each before those that were there */
        const char *beside = in_dir(i < 2 ? "onnx" : "");
        write_text(dir, names[i], "x");
        find(dir);
        expect(in_dir(names[i]), beside, beside, beside);
        cr_expect(!files.onnx_unread);
    }
    write_text(dir, "model.safetensors", "x");
    find(dir);
    expect("", dir, dir, dir);
    cr_expect(files.onnx_unread);
}

Test(model_files, safetensors_alone_leave_nothing_aside) {
    write_text(dir, "model.safetensors", "x");
    find(dir);
    expect("", dir, dir, dir);
    cr_expect(!files.onnx_unread);
}

Test(model_files, safetensors_are_read_whatever_the_choice_beside_them) {
    write_text(dir, "a.onnx", "x");
    write_text(dir, "b.onnx", "x");
    write_text(dir, "model.safetensors", "x");
    find(dir);
    expect("", dir, dir, dir);
    cr_expect(files.onnx_unread);
}

Test(model_files, of_several_the_choice_is_refused_with_their_names) {
    make_folder("onnx");
    write_text(dir, "onnx/quantized.onnx", "x");
    write_text(dir, "b.onnx", "x");
    write_text(dir, "a.onnx", "x");
    cr_assert_eq(qr_model_files_find(dir, &files, &error), QR_BAD_MODEL);
    cr_expect_not_null(strstr(error.message, "a.onnx, b.onnx, onnx/quantized.onnx"), "%s",
                       error.message);
    cr_expect_not_null(strstr(error.message, in_dir("a.onnx")), "%s", error.message);
    find(in_dir("onnx/quantized.onnx")); /* named, it is taken */
    cr_expect_str_eq(files.onnx, in_dir("onnx/quantized.onnx"));
}

Test(model_files, what_only_looks_like_a_graph) {
    make_folder("weights.onnx");
    write_text(dir, ".onnx", "x");
    write_text(dir, "model.onnx.data", "x");
    write_text(dir, "model.onnx_data", "x");
    find(dir);
    expect("", dir, dir, dir);
    cr_expect(!qr_model_path_is_onnx(in_dir("weights.onnx")));
    cr_expect(qr_model_path_is_onnx("/nowhere/model.onnx"));
    cr_expect(!qr_model_path_is_onnx("/nowhere/model.onnx/"));
}

Test(model_files, a_directory_may_be_called_like_a_file) {
    make_folder("x.onnx");
    write_text(dir, "x.onnx/model.onnx", "x");
    find(in_dir("x.onnx"));
    expect(in_dir("x.onnx/model.onnx"), in_dir("x.onnx"), in_dir("x.onnx"), in_dir("x.onnx"));
}

Test(model_files, companions_are_beside_or_above) {
    static const struct {
        const char *name; /* of the file, in the parent or in the folder */
        size_t of;        /* 0 config, 1 sentence, 2 tokenizer */
    } rows[] = {
        {"config.json", 0},    {"modules.json", 1}, {"sentence_bert_config.json", 1},
        {"tokenizer.json", 2}, {"vocab.txt", 2},    {"config_sentence_transformers.json", 1},
    };
    const char *dirs[] = {files.config_dir, files.sentence_dir, files.tokenizer_dir};
    make_folder("onnx");
    write_text(dir, "onnx/model.onnx", "x");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char beside[64];
        snprintf(beside, sizeof beside, "onnx/%s", rows[i].name);
        write_text(dir, rows[i].name, "x");
        find(in_dir("onnx/model.onnx"));
        for (size_t of = 0; of < 3; of++)
            cr_expect_str_eq(dirs[of], of == rows[i].of ? dir : in_dir("onnx"), "%s", rows[i].name);
        write_text(dir, beside, "x"); /* what is beside comes first */
        find(in_dir("onnx/model.onnx"));
        cr_expect_str_eq(dirs[rows[i].of], in_dir("onnx"), "%s", rows[i].name);
        cr_assert_eq(unlink(in_dir(beside)), 0);
        cr_assert_eq(unlink(in_dir(rows[i].name)), 0);
    }
}

Test(model_files, parents_of_short_paths) {
    static const struct {
        const char *onnx, *config; /* the file, and where its config.json is looked for above */
    } rows[] = {{"onnx/model.onnx", "."},
                {"./onnx//model.onnx", "."},
                {"onnx/../onnx/model.onnx", "onnx/.."},
                {"./onnx/./model.onnx", "./onnx/./.."}};
    make_folder("onnx");
    write_text(dir, "onnx/model.onnx", "x");
    write_text(dir, "config.json", "x");
    cr_assert_eq(chdir(dir), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        find(rows[i].onnx);
        cr_expect_str_eq(files.config_dir, rows[i].config, "%s", rows[i].onnx);
    }
    cr_assert_eq(chdir("onnx"), 0);
    find("model.onnx");
    cr_expect_str_eq(files.config_dir, "./..");
    cr_expect_str_eq(files.tokenizer_dir, ".");
    find("/model.onnx");
    cr_expect_str_eq(files.tokenizer_dir, "/");
}

Test(model_files, a_path_that_is_no_model_says_so) {
    write_text(dir, "model.safetensors", "x");
    cr_expect_eq(qr_model_files_find(in_dir("model.safetensors"), &files, &error), QR_BAD_MODEL);
    cr_expect_not_null(strstr(error.message, "model.safetensors: is a file"), "%s", error.message);
    cr_expect_eq(qr_model_files_find(in_dir("nowhere"), &files, &error), QR_BAD_MODEL);
    cr_expect_not_null(strstr(error.message, "nowhere: No such file"), "%s", error.message);
}

Test(model_files, a_path_may_be_too_long) {
    static char path[QR_PATH_BYTES + 8];
    memset(path, 'a', sizeof path - 1);
    cr_expect_eq(qr_model_files_find(path, &files, &error), QR_BAD_MODEL);
    memcpy(path + sizeof path - 6, ".onnx", 6);
    cr_expect_eq(qr_model_files_find(path, &files, &error), QR_BAD_MODEL);
}

Test(model_files, bytes_are_counted_with_those_beside) {
    write_text(dir, "model.onnx", "12345");
    write_text(dir, "model.onnx.data", "123");
    write_text(dir, "model.onnx_data", "1");
    write_text(dir, "other.onnx.data", "1234567");
    find(dir);
    cr_expect_eq(qr_model_files_onnx_bytes(&files), 9);
    write_text(dir, "model.safetensors", "x");
    find(dir);
    cr_expect_eq(qr_model_files_onnx_bytes(&files), 0);
}
