/* Models that load, under every name and in every dtype that is supported. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/model/tensor_data.h"
#include "model_patch.h"

static char dir[64];
static struct model_options options;

static void set_up(void) {
    temp_dir_create(dir);
    options = tiny_model;
}
static void tear_down(void) {
    temp_dir_remove(dir);
}

TestSuite(model_load, .init = set_up, .fini = tear_down);

static qr_bert *make_and_load(void) {
    make_model(dir, &options);
    return load_good(dir);
}

Test(model_load, every_weight_is_where_its_name_says) {
    qr_bert *bert = make_and_load();
    const struct {
        const char *name;
        const float *data;
        size_t count;
        float scale, offset;
    } rows[] = {
        {"embeddings.word_embeddings.weight", bert->word, 24, 1, 0},
        {"embeddings.position_embeddings.weight", bert->position, 12, 1, 0},
        {"embeddings.token_type_embeddings.weight", bert->type, 8, 1, 0},
        {"embeddings.LayerNorm.weight", bert->embedding_norm.gamma, 4, .25f, 1},
        {"embeddings.LayerNorm.bias", bert->embedding_norm.beta, 4, .25f, 0},
        {"encoder.layer.0.attention.self.query.weight", bert->layers[0].query.weight, 16, .0625f,
         0},
        {"encoder.layer.0.attention.self.key.bias", bert->layers[0].key.bias, 4, .0625f, 0},
        {"encoder.layer.0.attention.self.value.weight", bert->layers[0].value.weight, 16, .0625f,
         0},
        {"encoder.layer.0.attention.output.dense.weight", bert->layers[0].attention_output.weight,
         16, .0625f, 0},
        {"encoder.layer.0.attention.output.LayerNorm.weight", bert->layers[0].attention_norm.gamma,
         4, .25f, 1},
        {"encoder.layer.0.intermediate.dense.weight", bert->layers[0].intermediate.weight, 20,
         .0625f, 0},
        {"encoder.layer.0.intermediate.dense.bias", bert->layers[0].intermediate.bias, 5, .0625f,
         0},
        {"encoder.layer.0.output.dense.weight", bert->layers[0].output.weight, 20, .0625f, 0},
        {"encoder.layer.0.output.LayerNorm.bias", bert->layers[0].output_norm.beta, 4, .25f, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t k = 0; k < rows[i].count; k++)
            cr_assert_eq(rows[i].data[k],
                         draw(rows[i].name, options.seed, k) * rows[i].scale + rows[i].offset,
                         "%s[%zu]", rows[i].name, k);
    cr_assert_eq(bert->layers[0].intermediate.out, 5);
    cr_assert_eq(bert->layers[0].intermediate.in, 4);
    cr_assert_eq(bert->layers[0].output.out, 4);
    cr_assert_eq(bert->layers[0].output.in, 5);
    cr_assert_null(bert->pooler.weight);
    cr_assert_null(bert->span.weight);
    qr_bert_destroy(bert);
}

Test(model_load, info_says_what_the_files_say) {
    qr_bert *bert = make_and_load();
    const qr_model_info *info = &bert->info;
    cr_assert_str_eq(info->architecture, "BertModel");
    cr_assert_str_eq(info->dtype, "f32");
    cr_assert_eq(info->layers, 1);
    cr_assert_eq(info->hidden, 4);
    cr_assert_eq(info->heads, 2);
    cr_assert_eq(info->feed_forward, 5);
    cr_assert_eq(info->vocab, 6);
    cr_assert_eq(info->positions, 3);
    cr_assert_eq(info->types, 2);
    cr_assert_eq(info->head, QR_HEAD_NONE);
    cr_assert_eq(info->labels, 0);
    cr_assert_eq(info->parameters, 24 + 12 + 8 + 8 + 4 * 20 + 25 + 24 + 16);
    cr_assert_float_eq(info->layer_norm_eps, 1e-12f, 1e-18);
    qr_bert_destroy(bert);
}

static void check_prefix(const char *head, bool distilbert, const char *prefix, const char *name) {
    options.head = head;
    options.labels = 3;
    options.distilbert = distilbert;
    options.prefix = prefix;
    qr_bert *bert = make_and_load();
    cr_assert_eq(bert->layers[0].query.weight[5], draw(name, options.seed, 5) * .0625f);
    qr_bert_destroy(bert);
}

Test(model_load, prefixed_and_bare_names) {
    const char *bare = "encoder.layer.0.attention.self.query.weight";
    const char *prefixed = "bert.encoder.layer.0.attention.self.query.weight";
    check_prefix("none", false, "", bare);
    check_prefix("none", false, "bert.", prefixed);
    check_prefix("span", false, "", bare);
    check_prefix("span", false, "bert.", prefixed);
    check_prefix("labels", false, "", bare);
    check_prefix("labels", false, "bert.", prefixed);
    bare = "transformer.layer.0.attention.q_lin.weight";
    prefixed = "distilbert.transformer.layer.0.attention.q_lin.weight";
    check_prefix("none", true, "", bare);
    check_prefix("none", true, "distilbert.", prefixed);
    check_prefix("span", true, "distilbert.", prefixed);
    check_prefix("labels", true, "", bare);
}

Test(model_load, old_names_of_layer_norm) {
    options.old_names = true;
    qr_bert *bert = make_and_load();
    cr_assert_eq(bert->layers[0].output_norm.gamma[2],
                 draw("encoder.layer.0.output.LayerNorm.weight", options.seed, 2) * .25f + 1);
    cr_assert_eq(bert->embedding_norm.beta[0],
                 draw("embeddings.LayerNorm.bias", options.seed, 0) * .25f);
    qr_bert_destroy(bert);
}

Test(model_load, heads) {
    options.head = "labels";
    options.labels = 3;
    qr_bert *bert = make_and_load();
    cr_assert_eq(bert->info.head, QR_HEAD_LABELS);
    cr_assert_eq(bert->pooler_activation, QR_POOLER_TANH);
    cr_assert_eq(bert->pooler.weight[9], draw("bert.pooler.dense.weight", 7, 9) * .0625f);
    cr_assert_eq(bert->classifier.weight[11], draw("classifier.weight", 7, 11) * .0625f);
    cr_assert_eq(bert->classifier.out, 3);
    cr_assert_str_eq(bert->info.label_names[2], "LABEL_2");
    qr_bert_destroy(bert);
    options.distilbert = true;
    bert = make_and_load();
    cr_assert_eq(bert->pooler_activation, QR_POOLER_RELU);
    cr_assert_eq(bert->pooler.weight[9], draw("pre_classifier.weight", 7, 9) * .0625f);
    cr_assert_null(bert->type);
    cr_assert_eq(bert->info.types, 0);
    qr_bert_destroy(bert);
    options.head = "span";
    bert = make_and_load();
    cr_assert_eq(bert->info.head, QR_HEAD_SPAN);
    cr_assert_eq(bert->span.weight[7], draw("qa_outputs.weight", 7, 7) * .0625f);
    cr_assert_eq(bert->span.bias[1], draw("qa_outputs.bias", 7, 1) * .0625f);
    qr_bert_destroy(bert);
}

Test(model_load, label_names_and_their_number) {
    options.head = "labels";
    options.labels = 3;
    make_model(dir, &options);
    patch_file(dir, "config.json", "\"num_labels\":3",
               "\"num_labels\":9,\"id2label\":{\"2\":\"c\",\"0\":\"a\",\"1\":\"b \\u00e9\"}");
    qr_bert *bert = load_good(dir);
    cr_assert_eq(bert->info.labels, 3);
    cr_assert_str_eq(bert->info.label_names[0], "a");
    cr_assert_str_eq(bert->info.label_names[1], "b \xc3\xa9");
    cr_assert_str_eq(bert->info.label_names[2], "c");
    qr_bert_destroy(bert);
}

Test(model_load, config_defaults_are_those_of_transformers) {
    make_model(dir, &options);
    patch_file(dir, "config.json", "\"architectures\":[\"BertModel\"],", "");
    patch_file(dir, "config.json", "\"hidden_act\":\"gelu\",", "");
    patch_file(dir, "config.json", "\"type_vocab_size\":2,", "");
    patch_file(dir, "config.json", "\"layer_norm_eps\":1e-12,", "");
    qr_bert *bert = load_good(dir);
    cr_assert_str_eq(bert->info.architecture, "BertModel");
    cr_assert_eq(bert->info.activation, QR_GELU);
    cr_assert_float_eq(bert->info.layer_norm_eps, 1e-12f, 1e-18);
    qr_bert_destroy(bert);
    make_model(dir, &options);
    patch_file(dir, "config.json", "\"hidden_act\":\"gelu\"", "\"hidden_act\":null");
    patch_file(dir, "config.json", "\"type_vocab_size\":2", "\"type_vocab_size\":null");
    patch_file(dir, "config.json", "\"layer_norm_eps\":1e-12", "\"layer_norm_eps\":null");
    qr_bert_destroy(load_good(dir));
}

/* As TinyBERT's and the files of BERT's first year. */
Test(model_load, without_a_model_type_it_is_bert_when_it_looks_so) {
    make_model(dir, &options);
    patch_file(dir, "config.json", "\"model_type\":\"bert\",", "");
    patch_file(dir, "config.json", "\"architectures\":[\"BertModel\"],", "");
    qr_bert *bert = load_good(dir);
    cr_expect_str_eq(bert->info.architecture, "BertModel");
    qr_bert_destroy(bert);
}

Test(model_load, nulls_are_as_good_as_absent) {
    options.head = "labels";
    options.labels = 2;
    make_model(dir, &options);
    patch_file(dir, "config.json", "{",
               "{\"id2label\":null,\"position_embedding_type\":null,\"is_decoder\":null,");
    qr_bert *bert = load_good(dir);
    cr_assert_eq(bert->info.labels, 2);
    qr_bert_destroy(bert);
    options.head = NULL;
    options.distilbert = true;
    make_model(dir, &options);
    patch_file(dir, "config.json", "[\"DistilBertModel\"]", "null");
    bert = load_good(dir);
    cr_assert_str_eq(bert->info.architecture, "DistilBertModel");
    qr_bert_destroy(bert);
}

Test(model_load, an_open_model_is_known_before_its_weights_are_read) {
    qr_model *model = NULL;
    qr_error error = {0};
    options.head = "labels";
    options.labels = 2;
    options.pooling = "cls";
    make_model(dir, &options);
    cr_assert_eq(qr_model_open(dir, &model, &error), QR_OK, "%s", error.message);
    const qr_model_info *info = qr_model_get_info(model);
    cr_assert_eq(info->head, QR_HEAD_LABELS);
    cr_assert_eq(info->pooling[0], QR_POOLING_CLS);
    cr_assert_str_eq(info->label_names[1], "LABEL_1");
    cr_assert_str_eq(info->dtype, "f32");
    for (int time = 0; time < 2; time++) { /* as often as one likes */
        qr_bert *bert = NULL;
        cr_assert_eq(qr_bert_read(model, &bert, &error), QR_OK, "%s", error.message);
        cr_assert_eq(bert->info.parameters, info->parameters);
        cr_assert_neq(bert->info.label_names, info->label_names, "its own");
        cr_assert_str_eq(bert->info.label_names[1], "LABEL_1");
        qr_bert_destroy(bert);
    }
    qr_model_close(model);
    qr_model_close(NULL);
    cr_assert_eq(qr_model_open("/nowhere", &model, &error), QR_BAD_MODEL);
    cr_assert_null(model);
}

Test(model_load, activations) {
    static const struct {
        const char *name;
        qr_activation activation;
    } rows[] = {{"gelu", QR_GELU},
                {"gelu_new", QR_GELU_NEW},
                {"gelu_pytorch_tanh", QR_GELU_NEW},
                {"relu", QR_RELU}};
    for (size_t i = 0; i < 4; i++) {
        options.activation = rows[i].name;
        qr_bert *bert = make_and_load();
        cr_assert_eq(bert->info.activation, rows[i].activation, "%s", rows[i].name);
        qr_bert_destroy(bert);
    }
}

Test(model_load, an_encoder_with_the_head_of_pretraining) {
    make_model(dir, &options);
    patch_file(dir, "config.json", "BertModel", "BertForMaskedLM");
    qr_bert *bert = load_good(dir);
    cr_assert_eq(bert->info.head, QR_HEAD_NONE);
    qr_bert_destroy(bert);
}

/* Real files have an I64 position_ids and a pooler; both are skipped when the head does not need
 * them. */
Test(model_load, tensors_that_the_model_does_not_need_are_skipped) {
    make_model(dir, &options);
    size_t header_bytes;
    size_t data_bytes;
    char *header = read_header(dir, &header_bytes, &data_bytes);
    char *file = read_file(dir, "model.safetensors", &(size_t){0});
    char extra[256];
    qr_buf wider;
    qr_buf_init(&wider, 1 << 20);
    qr_buf_append(&wider, file + 8 + header_bytes, data_bytes);
    qr_buf_append(&wider, "\xff\xff\xff\xff\xff\xff\xff\xff", 8); /* NaN if it were read as f32 */
    snprintf(extra, sizeof extra,
             "{\"__metadata__\":{\"format\":\"pt\"},\"embeddings.position_ids\":{\"dtype\":\"I64\","
             "\"shape\":[1,1],"
             "\"data_offsets\":[%zu,%zu]},\"empty\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_"
             "offsets\":[%zu,%zu]},",
             data_bytes, data_bytes + 8, data_bytes, data_bytes);
    qr_buf text;
    qr_buf_init(&text, 1 << 20);
    qr_buf_append(&text, extra, strlen(extra));
    qr_buf_append(&text, header + 1, header_bytes - 1);
    qr_buf_literal(&text, "      "); /* writers pad the header with blanks */
    write_weights(dir, text.len, (qr_text){text.data, text.len}, wider.data, wider.len);
    qr_bert *bert = load_good(dir);
    cr_assert_eq(bert->word[23], draw("embeddings.word_embeddings.weight", 7, 23));
    qr_bert_destroy(bert);
    qr_buf_deinit(&text);
    qr_buf_deinit(&wider);
    free(header);
    free(file);
}

Test(model_load, a_symbolic_link_is_followed) {
    char from[128];
    char to[128];
    make_model(dir, &options);
    snprintf(from, sizeof from, "%s/model.safetensors", dir);
    snprintf(to, sizeof to, "%s/blob", dir);
    cr_assert_eq(rename(from, to), 0);
    cr_assert_eq(symlink("blob", from), 0);
    qr_bert_destroy(load_good(dir));
}

static float half_value(uint16_t half) {
    int exponent = half >> 10 & 31;
    int mantissa = half & 1023;
    double value = exponent == 0 ? ldexp(mantissa, -24) : ldexp(mantissa + 1024, exponent - 25);
    return (float)((half & 0x8000) != 0 ? -value : value);
}

Test(model_load, every_f16_and_bf16_number) {
    for (uint32_t i = 0; i < 65536; i++) {
        uint16_t stored = (uint16_t)i;
        uint32_t bits = i << 16;
        float expected;
        float out;
        bool finite = qr__f16_to_f32(&stored, 1, &out);
        cr_assert_eq(finite, (i >> 10 & 31) != 31, "f16 %04x", i);
        if (finite)
            cr_assert(out == half_value(stored) && (signbit(out) != 0) == (i >= 0x8000), "f16 %04x",
                      i);
        memcpy(&expected, &bits, 4);
        finite = qr__bf16_to_f32(&stored, 1, &out);
        cr_assert_eq(finite, isfinite(expected) != 0, "bf16 %04x", i);
        cr_assert(!finite || out == expected, "bf16 %04x", i);
        cr_assert_eq(qr__f32_check(&expected, 1), isfinite(expected) != 0);
    }
}

Test(model_load, stored_in_16_bits) {
    static const char *const dtypes[] = {"f16", "bf16"};
    for (size_t i = 0; i < 2; i++) {
        options.dtype = dtypes[i];
        qr_bert *bert = make_and_load();
        cr_assert_str_eq(bert->info.dtype, dtypes[i]);
        for (size_t k = 0; k < 24; k++)
            cr_assert_float_eq(bert->word[k], draw("embeddings.word_embeddings.weight", 7, k),
                               1.0 / 64);
        qr_bert_destroy(bert);
    }
}

static size_t resident_bytes(void) {
    char line[256] = "";
    FILE *file = fopen("/proc/self/statm", "r");
    cr_assert_not_null(file);
    cr_assert_not_null(fgets(line, sizeof line, file));
    fclose(file);
    char *resident = strchr(line, ' '); /* the second number, in pages */
    cr_assert_not_null(resident);
    return strtoul(resident, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

/* Kernels of aarch64 have pages of up to 64 KiB. */
Test(model_load, large_tensors_share_no_page_of_any_machine) {
    const size_t page = 65536;
    options.vocab = 1001; /* 128,128 numbers: it ends within a page */
    options.hidden = 128;
    qr_bert *bert = make_and_load();
    const qr_bert_linear *query = &bert->layers[0].query;
    const float *const first[] = {query->weight, query->bias, bert->position};
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
        cr_assert_eq((size_t)((const char *)first[i] - (const char *)bert->word) % page, 0,
                     "%zu begins within a page", i);
    qr_bert_destroy(bert);
}

Test(model_load, released_tensors_leave_memory) {
    options.vocab = 20000;
    options.hidden = 256;
    options.feed_forward = 1024;
    qr_bert *bert = make_and_load();
    size_t before = resident_bytes();
    qr_bert_release(bert, &bert->word); /* 20.5 MB */
    cr_assert_null(bert->word);
    cr_assert_lt(resident_bytes() + 20000000, before);
    cr_assert_eq(bert->position[3], draw("embeddings.position_embeddings.weight", 7, 3));
    cr_assert_eq(bert->layers[0].query.weight[3],
                 draw("encoder.layer.0.attention.self.query.weight", 7, 3) * .0625f);
    qr_bert_release(bert, &bert->word); /* again: nothing happens */
    qr_bert_release(bert, &bert->layers[0].query.bias);
    cr_assert_null(bert->layers[0].query.bias);
    qr_bert_release_all(bert); /* also what went before */
    cr_assert_null(bert->position);
    cr_assert_null(bert->layers[0].output.weight);
    cr_assert_null(bert->layers[0].output_norm.beta);
    cr_assert_lt(resident_bytes() + 20000000 + sizeof(float) * 12 * 256 * 256, before);
    cr_assert_str_eq(bert->info.architecture, "BertModel");
    qr_bert_destroy(bert);
    qr_bert_destroy(NULL);
}

Test(model_load, models_of_the_repository) {
    qr_bert *bert = load_good(QR_SOURCE_DIR "/models/squad-3l");
    cr_assert_str_eq(bert->info.architecture, "BertForQuestionAnswering");
    cr_assert_str_eq(bert->info.dtype, "f16");
    cr_assert_eq(bert->info.parameters, 17242754);
    cr_assert_eq(bert->info.max_seq_length, 0);
    qr_bert_destroy(bert);
    if (!qr_file_exists(QR_SOURCE_DIR "/models/minilm", "config.json"))
        cr_skip_test("models/minilm has not been fetched");
    bert = load_good(QR_SOURCE_DIR "/models/minilm");
    cr_assert_eq(bert->info.layers, 6);
    cr_assert_eq(bert->info.pooling[0], QR_POOLING_MEAN);
    cr_assert(bert->info.normalize);
    cr_assert_eq(bert->info.max_seq_length, 256);
    qr_bert_destroy(bert);
}

/* ELECTRA's embeddings have a size of their own, by default transformers'. */
Test(model_load, electra_has_two_sizes) {
    const size_t hidden = options.hidden;
    options.electra = true;
    options.embedding = 20;
    options.head = "tokens";
    options.labels = 3;
    make_model(dir, &options);
    qr_bert *bert = load_good(dir);
    cr_assert_eq(bert->info.head, QR_HEAD_TOKENS);
    cr_assert_eq(bert->info.word_size, 20);
    cr_assert_eq(bert->projection.in, 20);
    cr_assert_eq(bert->projection.out, hidden);
    cr_assert(bert->pooler.weight == NULL && bert->classifier.out == 3);
    qr_bert_destroy(bert);
    patch_file(dir, "config.json", "\"embedding_size\"", "\"other_size\"");
    load_refused(dir, (const char *const[3]){"word_embeddings.weight", "128"});
}

/* What is done with logits of labels is read for models of a text's labels only. */
Test(model_load, how_labels_become_scores) {
    static const struct {
        const char *member;
        qr_problem problem;
        qr_scores cross_encoder;
        const char *refused; /* NULL: it is not */
    } rows[] = {
        {"\"problem_type\":null", QR_PROBLEM_UNSTATED, QR_SCORES_DEFAULT, NULL},
        {"\"problem_type\":\"regression\"", QR_PROBLEM_REGRESSION, QR_SCORES_DEFAULT, NULL},
        {"\"problem_type\":\"single_label_classification\"", QR_PROBLEM_SINGLE_LABEL,
         QR_SCORES_DEFAULT, NULL},
        {"\"problem_type\":\"multi_label_classification\"", QR_PROBLEM_MULTI_LABEL,
         QR_SCORES_DEFAULT, NULL},
        {"\"problem_type\":\"other\"", QR_PROBLEM_UNSTATED, QR_SCORES_DEFAULT, "`other`"},
        {"\"problem_type\":7", QR_PROBLEM_UNSTATED, QR_SCORES_DEFAULT, "`problem_type`"},
        {"\"sentence_transformers\":{\"version\":\"5\"}", QR_PROBLEM_UNSTATED, QR_SCORES_DEFAULT,
         NULL},
        {"\"sentence_transformers\":{\"activation_fn\":\"torch.nn.modules.activation.Sigmoid\"}",
         QR_PROBLEM_UNSTATED, QR_SCORES_SIGMOID, NULL},
        {"\"sbert_ce_default_activation_function\":\"torch.nn.modules.linear.Identity\"",
         QR_PROBLEM_UNSTATED, QR_SCORES_NONE, NULL},
        {"\"sbert_ce_default_activation_function\":\"torch.nn.modules.linear.Identity\","
         "\"sentence_transformers\":{\"activation_fn\":\"torch.nn.Sigmoid\"}",
         QR_PROBLEM_UNSTATED, QR_SCORES_SIGMOID, NULL},
        {"\"sentence_transformers\":{\"activation_fn\":\"torch.nn.modules.activation.Tanh\"}",
         QR_PROBLEM_UNSTATED, QR_SCORES_DEFAULT, "activation.Tanh"},
        {"\"sbert_ce_default_activation_function\":\"mine.Sigmoid\"", QR_PROBLEM_UNSTATED,
         QR_SCORES_DEFAULT, "mine.Sigmoid"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char with[300];
        options.head = "labels";
        options.labels = 2;
        make_model(dir, &options);
        snprintf(with, sizeof with, "{%s,\"arch", rows[i].member);
        patch_file(dir, "config.json", "{\"arch", with);
        if (rows[i].refused != NULL) {
            load_refused(dir, (const char *const[3]){"config.json", rows[i].refused});
            continue;
        }
        qr_bert *bert = load_good(dir);
        cr_assert_eq(bert->info.problem, rows[i].problem, "row %zu", i);
        cr_assert_eq(bert->info.cross_encoder, rows[i].cross_encoder, "row %zu", i);
        qr_bert_destroy(bert);
    }
    options.head = "span"; /* where nothing of it means anything */
    make_model(dir, &options);
    patch_file(dir, "config.json", "{\"arch", "{\"problem_type\":\"other\",\"arch");
    qr_bert_destroy(load_good(dir));
}
