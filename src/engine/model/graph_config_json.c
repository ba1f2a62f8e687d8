/* engine/model/graph_config_json.c: config.json and sentence-transformers' files beside a graph.
 *
 * The graph is what runs, so it says what the model is. The files add what a graph cannot hold;
 * where they tell of another model than the graph, they belong to another one, and it is refused.
 */
#include "engine/model/graph_config.h"

#include <math.h>
#include <stdio.h>

#include "engine/model/config_json.h"
#include "engine/model/modules_json.h"

#define EPSILON_TOLERANCE                                                                          \
    1e-3f /* relative: a graph may hold it in f32 where the file has decimals */

static const char together[] = "do they belong together? without config.json the graph's is taken";

static size_t size_at(const qr_model_info *info, const qr__config_size *row) {
    size_t value;
    memcpy(&value, (const char *)info + row->offset, sizeof value);
    return value;
}

/* As read_sizes of config_json.c has it for a file: what follows may multiply without fear. */
static qr_status check_bounds(const qr__recognised *found, qr_error *error) {
    const qr_model_info *info = &found->info;
    bool fits = info->word_size >= 1 && info->word_size <= QR_LIMIT_HIDDEN &&
                info->labels <= QR_LIMIT_LABELS && info->denses <= QR_LIMIT_DENSES;
    for (size_t i = 0; i < QR__CONFIG_SIZES; i++) {
        const qr__config_size *row = &qr__config_sizes[i];
        const size_t size = size_at(info, row), least = row->fallback == 0 ? 1 : 0;
        fits = fits && size >= least && size <= row->max;
    }
    for (size_t i = 0; fits && i < info->denses; i++)
        fits = info->dense[i].in <= QR_LIMIT_HIDDEN * QR_POOLINGS &&
               info->dense[i].out <= QR_LIMIT_HIDDEN;
    if (fits && info->hidden % info->heads == 0)
        return QR_OK;
    return qr_error_set(error, QR_BAD_MODEL,
                        "%s: a size of the graph is out of bounds (%zu layers, hidden size %zu, "
                        "%zu heads, feed-forward size %zu, %zu words, %zu positions)",
                        found->graph->path, info->layers, info->hidden, info->heads,
                        info->feed_forward, info->vocab, info->positions);
}

/* A graph without segments has one row of their embeddings, added to others, or none; one that was
 * exported for a length may have only so many positions. */
static bool may_be_fewer(const qr__recognised *found, const qr__config_size *row) {
    return (row->offset == offsetof(qr_model_info, types) && found->info.types <= 1) ||
           (row->offset == offsetof(qr_model_info, positions) && found->fixed_tokens > 0);
}

static qr_status check_size(const qr__model_json *file, const char *key, size_t in_graph,
                            size_t max, bool fewer, const char *graph, qr_error *error) {
    size_t said = 0;
    qr_status status = qr__json_size(file, key, 1, max, &in_graph, &said, error);
    if (status != QR_OK || said == in_graph || (fewer && in_graph < said))
        return status;
    return qr_error_set(error, QR_BAD_MODEL, "%s: `%s` is %zu, but in %s it is %zu (%s)",
                        file->path, key, said, graph, in_graph, together);
}

static qr_status check_sizes(const qr__model_json *file, qr__family family,
                             const qr__recognised *found, qr_error *error) {
    const char *graph = found->graph->path;
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < QR__CONFIG_SIZES; i++) {
        const qr__config_size *row = &qr__config_sizes[i];
        const char *key = row->names[family == QR__FAMILY_DISTILBERT];
        if (key != NULL)
            status = check_size(file, key, size_at(&found->info, row), row->max,
                                may_be_fewer(found, row), graph, error);
    }
    if (status == QR_OK && family == QR__FAMILY_ELECTRA)
        status = check_size(file, "embedding_size", found->info.word_size, QR_LIMIT_HIDDEN, false,
                            graph, error);
    return status;
}

/* An activation of a name that is not ours may be one of ours all the same ("gelu_fast"). */
static qr_status check_activation(const qr__model_json *file, qr__family family,
                                  const qr__recognised *found, qr_error *error) {
    const char *key = family == QR__FAMILY_DISTILBERT ? "activation" : "hidden_act";
    const char *name;
    qr_activation said;
    qr_status status = qr__json_text(file, key, NULL, &name, error);
    if (status != QR_OK || name == NULL || !qr__config_activation(name, &said) ||
        said == found->info.activation)
        return status;
    return qr_error_set(error, QR_BAD_MODEL, "%s: `%s` is `%s`, but in %s it is `%s` (%s)",
                        file->path, key, name, found->graph->path,
                        qr_activation_name(found->info.activation), together);
}

/* In f16 the usual 1e-12 is no number, and converters put their own in its place. */
static qr_status check_epsilon(const qr__model_json *file, const qr__recognised *found,
                               qr_error *error) {
    const json_t *value = json_object_get(file->root, "layer_norm_eps");
    const float in_graph = found->info.layer_norm_eps, said = (float)json_number_value(value);
    if (found->half || !json_is_number(value) ||
        fabsf(said - in_graph) <= EPSILON_TOLERANCE * in_graph)
        return QR_OK;
    return qr_error_set(error, QR_BAD_MODEL, "%s: `layer_norm_eps` is %g, but in %s it is %g (%s)",
                        file->path, (double)said, found->graph->path, (double)in_graph, together);
}

/* The name of what was exported; a graph may have been exported without its head, or for another
 * task. */
static void take_architecture(const qr__model_json *file, qr__family family, qr_model_info *info) {
    const json_t *list = json_object_get(file->root, "architectures");
    const char *name = json_string_value(json_array_get(list, 0));
    qr_head head;
    if (name == NULL || !qr__config_head(name, family, &head))
        return;
    if (head == info->head)
        snprintf(info->architecture, sizeof info->architecture, "%s", name);
    else
        qr_log(QR_LOG_INFO, "%s: names a %s, but the graph is a %s, as which it is taken",
               file->path, name, info->architecture);
}

static qr_status read_config(const qr__model_json *file, const qr__recognised *found,
                             qr_model_info *info, qr_error *error) {
    const char *type;
    qr__family family = QR__FAMILY_BERT;
    if (!json_is_object(file->root))
        return qr_error_set(error, QR_BAD_MODEL, "%s: not a JSON object", file->path);
    qr_status status = qr__json_text(file, "model_type", NULL, &type, error);
    if (status == QR_OK && type != NULL && !qr__config_family(type, &family)) {
        qr_log(QR_LOG_INFO, "%s: `model_type` is `%.100s`; the graph is a %s, as which it is taken",
               file->path, type, info->architecture);
        return qr__labels_read(file, info, error);
    }
    if (status == QR_OK)
        status = check_sizes(file, family, found, error);
    if (status == QR_OK)
        status = check_activation(file, family, found, error);
    if (status == QR_OK)
        status = check_epsilon(file, found, error);
    if (status != QR_OK)
        return status;
    take_architecture(file, family, info);
    return qr__labels_read(file, info, error);
}

static bool same_pooling(const qr_model_info *a, const qr_model_info *b) {
    bool same = a->poolings == b->poolings && a->denses == b->denses &&
                a->normalize == b->normalize && a->embedding == b->embedding &&
                a->leaves_out_prompt == b->leaves_out_prompt;
    for (size_t i = 0; same && i < a->poolings; i++)
        same = a->pooling[i] == b->pooling[i];
    for (size_t i = 0; same && i < a->denses; i++)
        same =
            a->dense[i].out == b->dense[i].out && a->dense[i].activation == b->dense[i].activation;
    return same;
}

/* A graph that pools is a whole model: the files are only held against it. */
static qr_status read_sentence(const qr_model_files *files, const qr__recognised *found,
                               qr_model_info *info, qr_error *error) {
    const char *dir = files->sentence_dir;
    if (!found->pools)
        return qr__sentence_read(dir, info, error);
    if (qr__sentence_pools(dir)) {
        qr_error why = {.message = "they pool in another way"};
        qr_model_info said = *info;
        said.denses = 0;
        if (qr__sentence_read(dir, &said, &why) != QR_OK || !same_pooling(&said, info))
            qr_log(QR_LOG_INFO,
                   "%s: pools by itself, and the modules beside it are not followed: %s",
                   found->graph->path, why.message);
    }
    return qr__sentence_read_texts(dir, info, error);
}

qr_status qr__graph_info(const qr_model_files *files, const qr__recognised *found,
                         qr_model_info *info, qr_error *error) {
    qr__model_json file = {.root = NULL};
    *info = found->info;
    info->label_names = NULL;
    if (!found->pools)
        info->denses = 0; /* those of files follow */
    qr_status status = check_bounds(found, error);
    if (status == QR_OK && qr_file_exists(files->config_dir, "config.json")) {
        status = qr__json_load(files->config_dir, "config.json", &file, error);
        if (status == QR_OK)
            status = read_config(&file, found, info, error);
        qr__json_deinit(&file);
    } else if (status == QR_OK) {
        snprintf(file.path, sizeof file.path, "%s", found->graph->path);
        status = qr__labels_read(&file, info, error);
    }
    return status == QR_OK ? read_sentence(files, found, info, error) : status;
}
