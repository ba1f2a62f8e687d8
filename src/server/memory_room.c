/* server/memory_room.c: numbers of /proc/meminfo and of control groups. */
#include "server/memory_room.h"

#include <stdio.h>

#define FILE_BYTES   (16u << 10)
#define NO_LIMIT     (UINT64_C(1) << 62) /* version 1 has no word for none, but a number */
#define GRAPH_COPIES 3u /* of a graph's numbers: file, initializers, what is folded of them */

/* The number that stands first in the text behind `key` ("": at its beginning). False: there is
 * none, as where memory.max says "max". */
static bool find_number(const char *text, const char *key, uint64_t *out) {
    const char *at = strstr(text, key);
    if (at == NULL)
        return false;
    at += strlen(key);
    at += strspn(at, " ");
    return qr_text_to_u64((qr_text){at, strspn(at, "0123456789")}, UINT64_MAX, out);
}

static void take_least(uint64_t bytes, const char *limit, qr__memory_room *room) {
    if (room->limit != NULL && room->free_bytes <= bytes)
        return;
    room->free_bytes = bytes;
    room->limit = limit;
}

/* The files of a version of cgroups. */
typedef struct group_files {
    const char *max, *used, *inactive, *active, *limit;
} group_files;

static const group_files version_2 = {"memory.max", "memory.current", "\ninactive_file ",
                                      "\nactive_file ", "memory.max of its cgroup"};
static const group_files version_1 = {"memory.limit_in_bytes", "memory.usage_in_bytes",
                                      "\ntotal_inactive_file ", "\ntotal_active_file ",
                                      "memory.limit_in_bytes of its cgroup"};

static bool read_group(const char *dir, const char *name, char text[static FILE_BYTES]) {
    char path[QR_PATH_BYTES];
    return qr_file_join(dir, name, path, sizeof path) && qr_file_read_small(path, text, FILE_BYTES);
}

static bool read_bytes(const char *dir, const char *name, uint64_t *out) {
    char text[FILE_BYTES];
    return read_group(dir, name, text) && find_number(text, "", out);
}

static uint64_t left_of(const qr__memory_group *group) {
    return group->max_bytes > group->firm_bytes ? group->max_bytes - group->firm_bytes : 0;
}

/* A group's limit holds for all below it. Pages of files that nobody has used of late count as used
 * but are given back before anything is refused: a model just read from disk is mostly these. Those
 * that were used are given back too before anybody is killed. */
static void look_at_group(void *state, unsigned version, const char *dir) {
    qr__memory_room *room = state;
    const group_files *files = version == 2 ? &version_2 : &version_1;
    char stat[FILE_BYTES];
    uint64_t max, used, inactive, active;
    if (!read_bytes(dir, files->max, &max) || max >= NO_LIMIT ||
        !read_bytes(dir, files->used, &used))
        return;
    if (!read_group(dir, "memory.stat", stat))
        stat[0] = '\0';
    if (!find_number(stat, files->inactive, &inactive))
        inactive = 0;
    if (!find_number(stat, files->active, &active))
        active = 0;
    used -= qr_min(used, inactive);
    take_least(max > used ? max - used : 0, files->limit, room);
    if (room->group_bytes == 0 || max < room->group_bytes)
        room->group_bytes = max;
    const qr__memory_group group = {max, used - qr_min(used, active), files->limit};
    if (room->tightest.limit == NULL || left_of(&group) < left_of(&room->tightest))
        room->tightest = group;
}

bool qr__memory_room_read(const char *root, qr__memory_room *out) {
    char path[QR_PATH_BYTES], text[FILE_BYTES];
    uint64_t kib;
    *out = (qr__memory_room){0};
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    if (qr_file_read_small(path, text, sizeof text) && find_number(text, "\nMemAvailable:", &kib))
        take_least(qr_saturating_mul(kib, 1024), "the system's memory", out);
    qr_cgroup_walk(root, "memory", look_at_group, out);
    return out->limit != NULL;
}

qr_status qr__memory_room_check(const qr__memory_room *room, const char *name, uint64_t need_bytes,
                                qr_error *error) {
    if (need_bytes <= room->free_bytes)
        return QR_OK;
    return qr_error_set(error, QR_NO_MEMORY,
                        "model %s: a second copy may need %.0f MB beside the first, and %s leaves "
                        "%.0f MB; unload it first",
                        name, (double)need_bytes / 1e6, room->limit,
                        (double)room->free_bytes / 1e6);
}

/* The rows of a batch of so many tokens, as engine/cpu/context.c lays them out, in f32. */
static uint64_t workspace_bytes(const qr_model_info *model, size_t tokens) {
    uint64_t C = model->hidden, F = model->feed_forward;
    uint64_t floats = 6 * C + qr_max(3 * C, F) + 2 * qr_max(C, F) + model->word_size;
    return qr_saturating_mul(qr_saturating_mul(tokens, floats), sizeof(float));
}

/* Bytes a weight of all packings that there are at a time: the gate holds candidates against f32,
 * and int8 calibrates on it; int8 that fails mixes in bf16, and is packed once more when it has
 * been chosen, at most half of its matrices in bf16: those may be the larger ones. */
static uint64_t packed_bytes_a_weight(const qr__memory_load *load) {
    const uint64_t f32 = 4, half = 2, int8 = 1;
    switch (load->precision) {
    case QR_PRECISION_F32:
        return f32;
    case QR_PRECISION_F16:
    case QR_PRECISION_BF16:
        return f32 + half;
    case QR_PRECISION_INT8:
    case QR_PRECISION_AUTO:
        break;
    }
    return load->accepted ? f32 + int8 : f32 + int8 + half + half;
}

uint64_t qr__memory_room_graph(size_t graph_bytes) {
    return qr_saturating_mul(graph_bytes, GRAPH_COPIES);
}

/* Weights of few bits are folded to f32 on their way. */
static uint64_t graph_held(const qr__memory_load *load) {
    const uint64_t floats =
        qr_saturating_mul(load->model->parameters, GRAPH_COPIES * sizeof(float));
    return load->graph_bytes == 0 ? 0 : qr_max(qr__memory_room_graph(load->graph_bytes), floats);
}

/* Bytes a weight of the packing that stays: AUTO may end with f32, and int8 with half of its
 * matrices, the larger ones, in bf16. */
static uint64_t kept_bytes_a_weight(const qr__memory_load *load) {
    const uint64_t f32 = 4, half = 2, int8 = 1;
    switch (load->precision) {
    case QR_PRECISION_F32:
        return f32;
    case QR_PRECISION_F16:
    case QR_PRECISION_BF16:
        return half;
    case QR_PRECISION_INT8:
        return load->accepted ? int8 : half;
    case QR_PRECISION_AUTO:
        break;
    }
    return load->accepted ? int8 : f32;
}

/* Words are never in int8. On a device nothing stays here. */
uint64_t qr__memory_room_stay(const qr__memory_load *load) {
    const qr_model_info *model = load->model;
    if (load->away)
        return 0;
    uint64_t words = qr_min(qr_saturating_mul(model->vocab, model->word_size), model->parameters);
    uint64_t kept = kept_bytes_a_weight(load);
    uint64_t stay = qr_saturating_add(qr_saturating_mul(model->parameters - words, kept),
                                      qr_saturating_mul(words, qr_max(kept, sizeof(uint16_t))));
    stay = qr_saturating_add(
        stay, qr_saturating_mul(load->workers, workspace_bytes(model, load->tokens)));
    return qr_saturating_add(stay, stay / 8);
}

/* A device is sent what is read, a packing at a time, which may be made here first. */
static uint64_t need_away(const qr__memory_load *load) {
    const uint64_t a_weight = sizeof(float) + sizeof(float);
    uint64_t need = qr_saturating_mul(load->model->parameters, a_weight);
    need = qr_saturating_add(need, graph_held(load));
    return qr_saturating_add(need, need / 8);
}

/* The weights that are read stay in f32, whatever they are stored in, until the plan is packed. An
 * eighth is for the tokenizer and for the tails of 2 MB pages. When the gate is counted on, so is
 * that words in 16 bits and the workers' workspaces come when what was read has gone. */
uint64_t qr__memory_room_need(const qr__memory_load *load) {
    const qr_model_info *model = load->model;
    uint64_t words = qr_min(qr_saturating_mul(model->vocab, model->word_size), model->parameters);
    uint64_t read = qr_saturating_mul(model->parameters, sizeof(float));
    if (load->away)
        return need_away(load);
    uint64_t packed = qr_saturating_mul(model->parameters - words, packed_bytes_a_weight(load));
    uint64_t need = qr_saturating_add(read, packed);
    if (load->precision != QR_PRECISION_F32) /* the gate's texts */
        need = qr_saturating_add(need, workspace_bytes(model, QR_LIMIT_PROBE_TOKENS));
    if (!load->accepted) {
        need = qr_saturating_add(
            need, qr_saturating_mul(load->workers, workspace_bytes(model, load->tokens)));
        if (load->precision != QR_PRECISION_F32 || strcmp(model->dtype, "f16") == 0)
            need = qr_saturating_add(need, qr_saturating_mul(words, sizeof(uint16_t)));
    }
    need = qr_saturating_add(need, graph_held(load)); /* until the plan is made */
    need = qr_saturating_add(need, need / 8);
    return qr_max(need, qr__memory_room_stay(load));
}
