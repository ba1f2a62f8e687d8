#include "saved_fixture.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

void saved_dir_create(char dir[64]) {
    char plans[80];
    temp_dir_create(dir);
    snprintf(plans, sizeof plans, "%s/plans", dir);
    cr_assert_eq(mkdir(plans, 0700), 0);
}

bool saved_file_name(const char *dir, char out[300]) {
    char plans[80];
    size_t len = 0;
    snprintf(plans, sizeof plans, "%s/plans", dir);
    DIR *stream = opendir(plans);
    cr_assert_not_null(stream);
    for (struct dirent *d = readdir(stream); d != NULL; d = readdir(stream)) {
        if (d->d_name[0] == '.')
            continue;
        cr_assert_eq(len++, 0, "a second file: %s", d->d_name);
        cr_assert_eq(strlen(d->d_name), strlen("querent-.plan") + 32, "%s", d->d_name);
        snprintf(out, 300, "plans/%s", d->d_name);
    }
    closedir(stream);
    return len == 1;
}

char *saved_file_read(const char *dir, size_t *len) {
    char name[300];
    cr_assert(saved_file_name(dir, name));
    return read_file(dir, name, len);
}

void saved_file_write(const char *dir, const char *data, size_t len) {
    char name[300];
    cr_assert(saved_file_name(dir, name));
    write_file(dir, name, data, len);
}

/* Hidden states of all tokens, and what the head makes of them. */
static void ask(const qr_engine *engine, struct saved_answer *out) {
    static const qr_output of_head[] = {[QR_HEAD_NONE] = QR_OUTPUT_POOLED,
                                        [QR_HEAD_SPAN] = QR_OUTPUT_SPAN,
                                        [QR_HEAD_LABELS] = QR_OUTPUT_LABELS,
                                        [QR_HEAD_TOKENS] = QR_OUTPUT_TOKEN_LABELS};
    const qr_model_info *info = qr_engine_model(engine);
    struct forward_batch texts;
    forward_draw(&texts, info, (size_t[]){3, 1, 2, 3, 0}, 5);
    const size_t floats[] = {[QR_HEAD_NONE] = texts.batch.sequences * info->embedding,
                             [QR_HEAD_SPAN] = 9 * 2,
                             [QR_HEAD_LABELS] = texts.batch.sequences * info->labels,
                             [QR_HEAD_TOKENS] = 9 * info->labels};
    qr_context *context = forward_context(engine, NULL);
    const float *made;
    cr_assert_eq(qr_context_forward(context, &texts.batch, QR_OUTPUT_HIDDEN, &made), QR_OK);
    out->len = 9 * info->hidden;
    memcpy(out->floats, made, out->len * sizeof *made);
    cr_assert_eq(qr_context_forward(context, &texts.batch, of_head[info->head], &made), QR_OK);
    memcpy(out->floats + out->len, made, floats[info->head] * sizeof *made);
    out->len += floats[info->head];
    qr_context_destroy(context);
}

void saved_start(const char *dir, qr_engine_options options, struct saved_answer *out) {
    char plans[80];
    qr_engine *engine = NULL;
    qr_error error = {0};
    snprintf(plans, sizeof plans, "%s/plans", dir);
    if (options.cache_dir == NULL)
        options.cache_dir = plans;
    cr_assert_eq(forward_create(dir, &options, &engine, &error), QR_OK, "%s", error.message);
    out->plan = *qr_engine_plan(engine);
    ask(engine, out);
    qr_engine_destroy(engine);
}

void saved_equal(const struct saved_answer *a, const struct saved_answer *b) {
    cr_assert_eq(a->plan.precision, b->plan.precision);
    cr_assert_eq(a->plan.fallbacks, b->plan.fallbacks);
    cr_assert_eq(a->plan.weight_bytes, b->plan.weight_bytes);
    cr_assert_str_eq(a->plan.reason, b->plan.reason);
    cr_assert_str_eq(a->plan.target, b->plan.target);
    cr_assert_eq(a->len, b->len);
    cr_assert(memcmp(a->floats, b->floats, a->len * sizeof *a->floats) == 0);
}
