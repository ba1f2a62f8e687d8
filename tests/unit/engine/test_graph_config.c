/* tests: what the files beside a graph add to it, and where they contradict it. The graph is a
 * made-up one: only its facts are looked at. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "engine/model/config_json.h"
#include "engine/model/graph_config.h"
#include "model_maker.h"

#define PATH "some/model.onnx"

static char dir[64];
static qr_onnx_graph graph;
static qr__recognised found;
static qr_model_files files;
static qr_model_info info;
static qr_error error;
static char logged[4096]; /* messages, one behind the other */

static void keep(void *state, qr_log_level level, qr_text message) {
    (void)state;
    (void)level;
    size_t at = strlen(logged);
    snprintf(logged + at, sizeof logged - at, "%.*s\n", (int)message.len, message.data);
}

static void setup(void) {
    temp_dir_create(dir);
    error = (qr_error){0};
    graph = (qr_onnx_graph){.path = PATH};
    found = (qr__recognised){.graph = &graph,
                             .info = {.architecture = "BertModel",
                                      .layers = 2,
                                      .hidden = 12,
                                      .word_size = 12,
                                      .heads = 3,
                                      .feed_forward = 20,
                                      .vocab = 30,
                                      .positions = 16,
                                      .types = 2,
                                      .activation = QR_GELU,
                                      .layer_norm_eps = 1e-12f}};
    files = (qr_model_files){.onnx = PATH};
    memcpy(files.config_dir, dir, sizeof dir);
    memcpy(files.sentence_dir, dir, sizeof dir);
    logged[0] = '\0';
    qr_log_set_sink(keep, NULL);
}

static void teardown(void) {
    qr_log_set_sink(NULL, NULL);
    qr__model_info_deinit(&info);
    temp_dir_remove(dir);
}

TestSuite(graph_config, .init = setup, .fini = teardown);

static void read_good(void) {
    qr__model_info_deinit(&info);
    cr_assert_eq(qr__graph_info(&files, &found, &info, &error), QR_OK, "%s", error.message);
}

static void read_bad(const char *first, const char *second) {
    qr__model_info_deinit(&info);
    cr_assert_eq(qr__graph_info(&files, &found, &info, &error), QR_BAD_MODEL, "%s in %s", first,
                 second);
    cr_expect_not_null(strstr(error.message, first), "%s: %s", first, error.message);
    cr_expect_not_null(strstr(error.message, second), "%s: %s", second, error.message);
}

static void config(const char *text) {
    write_text(dir, "config.json", text);
}

Test(graph_config, no_file_need_be_there) {
    read_good();
    cr_expect_eq(info.layers, 2);
    cr_expect_str_eq(info.architecture, "BertModel");
    cr_expect_eq(info.poolings, 1);
    cr_expect_eq(info.pooling[0], QR_POOLING_MEAN);
    cr_expect(info.normalize);
    cr_expect_eq(info.embedding, 12);
    cr_expect_eq(info.max_seq_length, 0);
    cr_expect_str_eq(logged, "");
}

Test(graph_config, labels_without_a_file_are_numbered) {
    found.info.head = QR_HEAD_LABELS;
    found.info.labels = 3;
    read_good();
    cr_expect_eq(info.labels, 3);
    cr_expect_str_eq(info.label_names[2], "LABEL_2");
}

#define SIZES                                                                                      \
    "\"num_hidden_layers\":2,\"hidden_size\":12,\"num_attention_heads\":3,\"vocab_size\":30,"      \
    "\"max_position_embeddings\":16,\"intermediate_size\":20,\"type_vocab_size\":2"

Test(graph_config, a_file_that_agrees) {
    config("{\"model_type\":\"bert\",\"architectures\":[\"BertForMaskedLM\"]," SIZES
           ",\"hidden_act\":\"gelu\",\"layer_norm_eps\":1e-12}");
    read_good();
    cr_expect_str_eq(info.architecture, "BertForMaskedLM");
    config("{}"); /* nothing is asked of it */
    read_good();
    cr_expect_str_eq(info.architecture, "BertModel");
    cr_expect_str_eq(logged, "");
}

Test(graph_config, contradictions_name_both) {
    static const struct {
        const char *text, *key, *value; /* the graph's */
    } rows[] = {
        {"{\"num_hidden_layers\":3}", "`num_hidden_layers` is 3", PATH " it is 2"},
        {"{\"hidden_size\":13}", "`hidden_size` is 13", PATH " it is 12"},
        {"{\"num_attention_heads\":4}", "`num_attention_heads` is 4", PATH " it is 3"},
        {"{\"intermediate_size\":21}", "`intermediate_size` is 21", PATH " it is 20"},
        {"{\"vocab_size\":31}", "`vocab_size` is 31", PATH " it is 30"},
        {"{\"max_position_embeddings\":17}", "`max_position_embeddings` is 17", PATH " it is 16"},
        {"{\"type_vocab_size\":3}", "`type_vocab_size` is 3", PATH " it is 2"},
        {"{\"hidden_act\":\"gelu_new\"}", "`hidden_act` is `gelu_new`", PATH " it is `gelu`"},
        {"{\"layer_norm_eps\":1e-05}", "`layer_norm_eps` is 1e-05", PATH " it is 1e-12"},
        {"{\"model_type\":\"distilbert\",\"dim\":13}", "`dim` is 13", PATH " it is 12"},
        {"{\"model_type\":\"distilbert\",\"n_heads\":4}", "`n_heads` is 4", PATH " it is 3"},
        {"{\"model_type\":\"distilbert\",\"activation\":\"relu\"}", "`activation` is `relu`",
         PATH " it is `gelu`"},
        {"{\"model_type\":\"electra\",\"embedding_size\":8}", "`embedding_size` is 8",
         PATH " it is 12"},
        {"{\"hidden_size\":\"12\"}", "`hidden_size`", "not an integer"},
        {"[]", "config.json", "not a JSON object"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        config(rows[i].text);
        read_bad(rows[i].key, rows[i].value);
    }
}

Test(graph_config, what_may_differ) {
    config("{\"layer_norm_eps\":1e-5}");
    found.half = true; /* an epsilon that f16 cannot hold */
    read_good();
    config("{\"type_vocab_size\":2}");
    found.info.types = 0; /* exported without segments */
    read_good();
    cr_expect_eq(info.types, 0);
    config("{\"max_position_embeddings\":512}");
    found.fixed_tokens = 16; /* exported for a length */
    read_good();
    cr_expect_eq(info.positions, 16);
    config("{\"max_position_embeddings\":15}");
    read_bad("`max_position_embeddings` is 15", PATH " it is 16");
    config("{\"hidden_act\":\"gelu_fast\"}"); /* of a name that is not ours */
    read_good();
}

Test(graph_config, another_model_type_is_what_the_graph_is) {
    config(
        "{\"model_type\":\"camembert\",\"hidden_size\":13,\"architectures\":[\"CamembertModel\"]}");
    read_good();
    cr_expect_str_eq(info.architecture, "BertModel");
    cr_expect_eq(info.hidden, 12);
    cr_expect_not_null(strstr(logged, "camembert"), "%s", logged);
}

Test(graph_config, another_head_is_the_graphs) {
    config("{\"model_type\":\"bert\",\"architectures\":[\"BertForQuestionAnswering\"]}");
    read_good();
    cr_expect_eq(info.head, QR_HEAD_NONE);
    cr_expect_str_eq(info.architecture, "BertModel");
    cr_expect_not_null(strstr(logged, "BertForQuestionAnswering"), "%s", logged);
}

Test(graph_config, labels_have_the_files_names) {
    found.info.head = QR_HEAD_LABELS;
    found.info.labels = 2;
    config("{\"id2label\":{\"0\":\"no\",\"1\":\"yes\"},\"problem_type\":"
           "\"multi_label_classification\"}");
    read_good();
    cr_expect_str_eq(info.label_names[1], "yes");
    cr_expect_eq(info.problem, QR_PROBLEM_MULTI_LABEL);
    config("{\"model_type\":\"some\",\"id2label\":{\"0\":\"no\",\"1\":\"yes\"}}");
    read_good(); /* of any model_type */
    cr_expect_str_eq(info.label_names[0], "no");
    found.info.labels = 3;
    read_bad("`id2label` tells of 2", "gives 3");
    config("{\"num_labels\":4}");
    read_bad("`num_labels` tells of 4", "gives 3");
}

Test(graph_config, pooling_comes_from_the_files) {
    const struct model_options options = {.layers = 1,
                                          .hidden = 12,
                                          .heads = 3,
                                          .feed_forward = 4,
                                          .vocab = 6,
                                          .positions = 8,
                                          .pooling = "cls+max",
                                          .dense = "8:Tanh"};
    make_model(dir, &options);
    config("{}");
    write_text(dir, "sentence_bert_config.json", "{\"max_seq_length\":9}");
    read_good();
    cr_expect_eq(info.poolings, 2);
    cr_expect_eq(info.pooling[1], QR_POOLING_MAX);
    cr_expect_eq(info.denses, 1);
    cr_expect_eq(info.embedding, 8);
    cr_expect_eq(info.max_seq_length, 9);
}

Test(graph_config, a_graph_that_pools_is_not_asked_twice) {
    const struct model_options options = {.layers = 1,
                                          .hidden = 12,
                                          .heads = 3,
                                          .feed_forward = 4,
                                          .vocab = 6,
                                          .positions = 8,
                                          .pooling = "cls"};
    found.pools = true;
    found.info.pooling[0] = QR_POOLING_CLS;
    found.info.poolings = 1;
    found.info.normalize = true;
    found.info.embedding = 12;
    make_model(dir, &options);
    config("{}");
    write_text(dir, "sentence_bert_config.json", "{\"max_seq_length\":9}");
    read_good();
    cr_expect_eq(info.pooling[0], QR_POOLING_CLS);
    cr_expect_eq(info.max_seq_length, 9);
    cr_expect_str_eq(logged, "", "they say the same");
    found.info.pooling[0] = QR_POOLING_MEAN;
    read_good();
    cr_expect_eq(info.pooling[0], QR_POOLING_MEAN);
    cr_expect_eq(info.max_seq_length, 9);
    cr_expect_not_null(strstr(logged, "pools by itself"), "%s", logged);
    logged[0] = '\0';
    write_text(dir, "modules.json", "[{\"type\":\"x.CLIP\",\"path\":\"\"}]");
    read_good(); /* what we could not follow need not be followed */
    cr_expect_not_null(strstr(logged, "CLIP"), "%s", logged);
}

Test(graph_config, sizes_are_within_bounds) {
    static const size_t offsets[] = {
        offsetof(qr_model_info, layers), offsetof(qr_model_info, hidden),
        offsetof(qr_model_info, heads),  offsetof(qr_model_info, feed_forward),
        offsetof(qr_model_info, vocab),  offsetof(qr_model_info, positions),
        offsetof(qr_model_info, types),  offsetof(qr_model_info, word_size),
        offsetof(qr_model_info, labels)};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        size_t *member = (size_t *)(void *)((char *)&found.info + offsets[i]);
        const size_t before = *member;
        *member = SIZE_MAX / 2;
        read_bad(PATH, "out of bounds");
        *member = before;
    }
    found.info.heads = 5;
    read_bad(PATH, "out of bounds");
}
