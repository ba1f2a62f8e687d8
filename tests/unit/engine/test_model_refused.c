/* Every rule of the loader, broken once: refused with the file, the tensor and the reason. */
#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model_patch.h"

#define WORD  "embeddings.word_embeddings.weight"
#define QUERY "encoder.layer.0.attention.self.query.weight"
/* Word embeddings come first: 6*4*4 = 96 bytes; position embeddings: 48. */
#define WORD_ENTRY "\"" WORD "\":{\"dtype\":\"F32\",\"shape\":[6,4],\"data_offsets\":[0,96]}"

#define X64        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static char dir[64];

static void set_up(void) {
    temp_dir_create(dir);
    make_model(dir, &tiny_model);
}
static void tear_down(void) {
    temp_dir_remove(dir);
}

TestSuite(model_refused, .init = set_up, .fini = tear_down);

/* A replacement in one file, and what the message must say. */
struct row {
    const char *from, *to;
    const char *says[3];
};

static void run_rows(const struct row *rows, size_t count, bool header) {
    for (size_t i = 0; i < count; i++) {
        make_model(dir, &tiny_model);
        if (header)
            patch_header(dir, rows[i].from, rows[i].to);
        else
            patch_file(dir, "config.json", rows[i].from, rows[i].to);
        load_refused(dir, rows[i].says);
    }
    cr_log_info("%zu files refused", count);
}

Test(model_refused, headers) {
    static const struct row rows[] = {
        {"{", " {", {"model.safetensors", "starts with `{`"}},
        {"{", "[", {"model.safetensors", "starts with `{`"}},
        {"\"" WORD "\"", "\"\xff\"", {"model.safetensors", "UTF-8"}},
        {"\"" WORD "\":", "\"" WORD "\"", {"not valid JSON"}},
        {WORD_ENTRY, WORD_ENTRY "," WORD_ENTRY, {"duplicate", WORD}},
        {"[0,96]", "[0,96],\"dtype\":\"F32\"", {"duplicate", "dtype"}},
        {"{\"" WORD, "{\"__metadata__\":{\"format\":1},\"" WORD, {"__metadata__"}},
        {"{\"" WORD, "{\"__metadata__\":[],\"" WORD, {"__metadata__"}},
        {"\"" WORD "\"", "\"\"", {"(not printable)", "name"}},
        {"\"" WORD "\"", "\"" X64 X64 X64 X64 "\"", {"(not printable)", "too long"}},
        {"[0,96]", "96", {WORD, "`data_offsets`"}},
        {"\"shape\":[5]", "\"shape\":[5,1]", {"intermediate.dense.bias", "[5, 1]", "[5]"}},
        {"\"" WORD "\"", "\"a\\nb\"", {"(not printable)", "control"}},
        {"\"" WORD "\"", "\"a\\u0000b\"", {"not valid JSON"}},
        {WORD_ENTRY, "\"" WORD "\":7", {WORD, "not an object"}},
        {"\"dtype\":\"F32\",\"shape\":[6,4]", "\"shape\":[6,4]", {WORD, "`dtype`"}},
        {"\"dtype\":\"F32\",\"shape\":[6,4]",
         "\"dtype\":\"F4\",\"shape\":[6,4]",
         {WORD, "`dtype`"}},
        {"\"dtype\":\"F32\",\"shape\":[6,4]", "\"dtype\":4,\"shape\":[6,4]", {WORD, "`dtype`"}},
        {"\"dtype\":\"F32\",\"shape\":[6,4]",
         "\"dtype\":\"I32\",\"shape\":[6,4]",
         {WORD, "stored as I32", "F16"}},
        {"\"shape\":[6,4],", "", {WORD, "`shape`"}},
        {"[6,4]", "24", {WORD, "`shape`"}},
        {"[6,4]", "[[6],4]", {WORD, "`shape`"}},
        {"[6,4]", "[6,\"4\"]", {WORD, "`shape`"}},
        {"[6,4]", "[6.0,4]", {WORD, "`shape`"}},
        {"[6,4]", "[-6,-4]", {WORD, "`shape`"}},
        {"[6,4]", "[6,2,1,2,1]", {WORD, "at most 4"}},
        {"[6,4]", "[2147483649,4]", {WORD, "2^31"}},
        {"[6,4]", "[99999999999999999999,4]", {"not valid JSON"}},
        {"[6,4]", "[2147483648,2147483648,2147483648]", {WORD, "overflows"}},
        {"[6,4]", "[2147483648,2147483648,2]", {WORD, "overflows"}}, /* 2^63 * 4 bytes */
        {"[6,4]", "[4,6]", {WORD, "[4, 6]", "[6, 4]"}},
        {"[6,4]", "[24]", {WORD, "[24]", "[6, 4]"}},
        {"[6,4]", "[6,2,2]", {WORD, "[6, 2, 2]", "[6, 4]"}},
        {"[6,4]", "[6,5]", {WORD, "does not span"}},
        {",\"data_offsets\":[0,96]", "", {WORD, "`data_offsets`"}},
        {"[0,96]", "[0,96,0]", {WORD, "`data_offsets`"}},
        {"[0,96]", "[0]", {WORD, "`data_offsets`"}},
        {"[0,96]", "[-96,0]", {WORD, "`data_offsets`"}},
        {"[0,96]", "[0,\"96\"]", {WORD, "`data_offsets`"}},
        {"[0,96]", "[96,0]", {WORD, "ends before"}},
        {"[0,96]", "[9223372036854775000,9223372036854775096]", {WORD, "`data_offsets`"}},
        {"[0,96]", "[4000000000,4000000096]", {WORD, "outside the file"}},
        {"[0,96]", "[0,92]", {WORD, "does not span"}},
        {"[0,96]", "[4,100]", {"hole before its data", WORD}},
        {"[96,144]", "[92,140]", {"position_embeddings", "overlaps"}},
        {"[96,144]", "[0,48]", {"overlaps"}},
        {QUERY, "encoder.layer.0.attention.self.query.weights", {QUERY, "missing", "config.json"}},
        {"\"" WORD "\"", "\"embeddings.words.weight\"", {WORD, "missing", "`bert.`"}},
    };
    run_rows(rows, sizeof rows / sizeof rows[0], true);
}

Test(model_refused, configs) {
    static const struct row rows[] = {
        {"{", "", {"config.json", "not valid JSON"}},
        {"{\"arch", "[{\"arch", {"config.json", "not valid JSON"}},
        {"\"model_type\":\"bert\"",
         "\"model_type\":\"bert\",\"model_type\":\"bert\"",
         {"config.json", "duplicate"}},
        {"\"model_type\":\"bert\",",
         "\"num_hidden_groups\":1,",
         {"config.json", "`model_type`", "missing"}},
        {"\"model_type\":\"bert\"", "\"model_type\":\"roberta\"", {"`roberta`", "electra"}},
        {"\"model_type\":\"bert\"", "\"model_type\":7", {"`model_type`", "not a text"}},
        {"\"model_type\":\"bert\"",
         "\"model_type\":\"distilbert\"",
         {"`BertModel`", "not supported"}},
        {"BertModel",
         "BertForMultipleChoice",
         {"`BertForMultipleChoice`", "ForTokenClassification"}},
        {"[\"BertModel\"]", "\"BertModel\"", {"`architectures`"}},
        {"\"hidden_size\":4,", "", {"`hidden_size`", "missing"}},
        {"\"hidden_size\":4,", "\"hidden_size\":0,", {"`hidden_size`", "from 1 to"}},
        {"\"hidden_size\":4,", "\"hidden_size\":-4,", {"`hidden_size`"}},
        {"\"hidden_size\":4,", "\"hidden_size\":4.0,", {"`hidden_size`"}},
        {"\"hidden_size\":4,", "\"hidden_size\":\"4\",", {"`hidden_size`"}},
        {"\"hidden_size\":4,", "\"hidden_size\":1000000,", {"`hidden_size`"}},
        {"\"num_attention_heads\":2,",
         "\"num_attention_heads\":3,",
         {"not a multiple", "`num_attention_heads` 3"}},
        {"\"num_hidden_layers\":1,", "\"num_hidden_layers\":1000,", {"`num_hidden_layers`"}},
        {"\"num_hidden_layers\":1,", "\"num_hidden_layers\":2,", {"encoder.layer.1.", "missing"}},
        {"\"vocab_size\":6,", "\"vocab_size\":7,", {WORD, "[6, 4]", "[7, 4]"}},
        {"\"max_position_embeddings\":3,",
         "\"max_position_embeddings\":4,",
         {"position_embeddings", "[3, 4]", "[4, 4]"}},
        {"\"type_vocab_size\":2",
         "\"type_vocab_size\":1",
         {"token_type_embeddings", "[2, 4]", "[1, 4]"}},
        {"\"intermediate_size\":5,",
         "\"intermediate_size\":6,",
         {"intermediate.dense.weight", "[5, 4]", "[6, 4]"}},
        {"\"hidden_act\":\"gelu\"", "\"hidden_act\":\"swish\"", {"`hidden_act`", "`swish`"}},
        {"1e-12", "0", {"`layer_norm_eps`"}},
        {"1e-12", "\"x\"", {"`layer_norm_eps`"}},
        {"{",
         "{\"position_embedding_type\":\"relative_key\",",
         {"`position_embedding_type`", "relative_key"}},
        {"{", "{\"is_decoder\":true,", {"`is_decoder`"}},
        {"{", "{\"is_decoder\":1,", {"`is_decoder`"}},
        {"BertModel", "BertForQuestionAnswering", {"qa_outputs.weight", "missing"}},
        {"BertModel", "BertForSequenceClassification", {"pooler.dense.weight", "missing"}},
    };
    run_rows(rows, sizeof rows / sizeof rows[0], false);
}

Test(model_refused, labels) {
    static const struct row rows[] = {
        {"{", "{\"id2label\":{},", {"`id2label`"}},
        {"{", "{\"id2label\":[\"a\",\"b\"],", {"`id2label`"}},
        {"{", "{\"id2label\":{\"0\":\"a\",\"2\":\"b\"},", {"`id2label`", "\"1\""}},
        {"{", "{\"id2label\":{\"0\":\"a\",\"1\":7},", {"`id2label`", "\"1\""}},
        {"{", "{\"id2label\":{\"0\":\"a\"},", {"classifier.weight", "[2, 4]", "[1, 4]"}},
        {"\"num_labels\":2", "\"num_labels\":0", {"`num_labels`"}},
        {"\"num_labels\":2", "\"num_labels\":3", {"classifier.weight", "[2, 4]", "[3, 4]"}},
    };
    struct model_options options = tiny_model;
    options.head = "labels";
    options.labels = 2;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        make_model(dir, &options);
        patch_file(dir, "config.json", rows[i].from, rows[i].to);
        load_refused(dir, rows[i].says);
    }
}

/* Files that are not what the length field and the header say. */
Test(model_refused, lengths) {
    size_t header_bytes;
    size_t data_bytes;
    char *header = read_header(dir, &header_bytes, &data_bytes);
    char *data = calloc(data_bytes + 8, 1);
    qr_text text = {header, header_bytes};
    write_text(dir, "model.safetensors", "");
    load_refused(dir, (const char *const[3]){"model.safetensors", "0 bytes are too few"});
    write_text(dir, "model.safetensors", "1234567");
    load_refused(dir, (const char *const[3]){"7 bytes are too few"});
    write_weights(dir, 0, (qr_text){0}, NULL, 0);
    load_refused(dir, (const char *const[3]){"starts with `{`"});
    write_weights(dir, header_bytes, (qr_text){header, header_bytes - 1}, NULL, 0);
    load_refused(dir, (const char *const[3]){"leads outside the file"});
    write_weights(dir, (1u << 20) + 1, text, data, data_bytes);
    load_refused(dir, (const char *const[3]){"above the maximum"});
    write_weights(dir, UINT64_MAX, text, data, data_bytes);
    load_refused(dir, (const char *const[3]){"above the maximum"});
    write_weights(dir, header_bytes - 1, text, data, data_bytes);
    load_refused(dir, (const char *const[3]){"not valid JSON"});
    write_weights(dir, header_bytes, text, data, data_bytes - 1);
    load_refused(dir, (const char *const[3]){"tensor `", "outside the file", "truncated"});
    write_weights(dir, header_bytes, text, data, 100);
    load_refused(dir, (const char *const[3]){"tensor `", "outside the file"});
    write_weights(dir, header_bytes, text, data, data_bytes + 1);
    load_refused(dir, (const char *const[3]){"the tensors take", "appended"});
    write_weights(dir, header_bytes, text, data, data_bytes);
    qr_bert_destroy(load_good(dir)); /* zeros: the frame of all of the above is good */
    free(header);
    free(data);
}

Test(model_refused, a_header_nested_too_deep) {
    enum { DEPTH = 100000 };
    char *text = malloc(DEPTH + 6);
    memset(text, '[', DEPTH + 6);
    memcpy(text, "{\"a\":", 5);
    write_weights(dir, DEPTH + 5, (qr_text){text, DEPTH + 5}, NULL, 0);
    load_refused(dir, (const char *const[3]){"model.safetensors", "not valid JSON"});
    free(text);
}

Test(model_refused, numbers_that_are_not_finite) {
    static const struct {
        const char *dtype;
        size_t at; /* byte of the word embeddings' number 5 */
        const char *bytes;
    } rows[] = {{"f32", 20, "\x00\x00\xc0\x7f"}, /* NaN */
                {"f32", 20, "\x00\x00\x80\xff"}, /* -Inf */
                {"f16", 10, "\x00\x7c"},
                {"bf16", 10, "\x80\x7f"}};
    for (size_t i = 0; i < 4; i++) {
        struct model_options options = tiny_model;
        size_t header_bytes;
        size_t data_bytes;
        size_t len;
        options.dtype = rows[i].dtype;
        make_model(dir, &options);
        free(read_header(dir, &header_bytes, &data_bytes));
        char *file = read_file(dir, "model.safetensors", &len);
        memcpy(file + 8 + header_bytes + rows[i].at, rows[i].bytes,
               rows[i].dtype[1] == '3' ? 4 : 2);
        write_file(dir, "model.safetensors", file, len);
        load_refused(dir, (const char *const[3]){"model.safetensors", "tensor `" WORD "`",
                                                 "NaN or infinity"});
        free(file);
    }
}

static void remove_file(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    cr_assert_eq(unlink(path), 0);
}

/* What a directory without config.json may be besides; the first that is there counts. */
static void refused_without_config(void) {
    static const struct {
        const char *name, *hint;
    } rows[] = {{"modules.json", "move its files up"},
                {"adapter_config.json", "merge_and_unload"},
                {"snapshots", "the one in its `snapshots`"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_text(dir, rows[i].name, "x");
        load_refused(dir, (const char *const[3]){"config.json: missing", rows[i].hint});
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        remove_file(rows[i].name);
}

Test(model_refused, missing_files_have_hints) {
    static const struct {
        const char *name, *hint;
    } rows[] = {{"pytorch_model.bin", "convert"},
                {"pytorch_model.bin.index.json", "convert them"},
                {"model.safetensors.index.json", "sharded"},
                {"tf_model.h5", "convert"}};
    remove_file("model.safetensors");
    load_refused(dir, (const char *const[3]){"model.safetensors: missing", "download"});
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_text(dir, rows[i].name, "x");
        load_refused(dir, (const char *const[3]){"model.safetensors: missing", rows[i].hint});
        remove_file(rows[i].name);
    }
    remove_file("config.json");
    load_refused(dir, (const char *const[3]){"config.json: missing", "directory"});
    refused_without_config();
    load_refused("/nowhere/at/all", (const char *const[3]){"/nowhere/at/all: No such file"});
}

/* A snapshot of Hugging Face's cache without its blobs: none of its files is taken for absent. */
Test(model_refused, links_that_lead_nowhere) {
    static const char *const names[] = {"config.json", "model.safetensors", "modules.json",
                                        "sentence_bert_config.json", "1_Pooling/config.json"};
    char path[128];
    snprintf(path, sizeof path, "%s/1_Pooling", dir);
    cr_assert_eq(mkdir(path, 0700), 0);
    for (size_t i = 0; i < 5; i++) {
        make_model(dir, &tiny_model);
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
        cr_assert_eq(symlink("../../blobs/4f2a", path), 0);
        load_refused(dir, (const char *const[3]){names[i], "a symbolic link that leads nowhere"});
        cr_assert_eq(unlink(path), 0);
    }
}

Test(model_refused, what_is_no_regular_file) {
    char path[128];
    remove_file("model.safetensors");
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    cr_assert_eq(mkfifo(path, 0600), 0); /* must not hang */
    load_refused(dir, (const char *const[3]){"model.safetensors", "not a regular file"});
    remove_file("model.safetensors");
    cr_assert_eq(mkdir(path, 0700), 0);
    load_refused(dir, (const char *const[3]){"model.safetensors", "not a regular file"});
}
