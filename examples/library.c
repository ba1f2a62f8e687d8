/* examples/library.c: querent in a C program: which of some passages is nearest to a query, and
 * what in it answers the question.
 *
 *     cc library.c $(pkg-config --cflags --libs querent) -o library
 *     ./library models/minilm models/squad-3l "how tall is mount everest"
 */
#include <querent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const passages[] = {
    "The Danube rises in the Black Forest and flows through ten countries to the Black Sea.",
    "Mount Everest is 8,849 metres tall. It lies in the Himalayas, between Nepal and Tibet.",
    "Bread is baked from flour, water, salt and yeast, and is best on the day it is made.",
};
enum { PASSAGES = sizeof passages / sizeof passages[0] };

static void print_log(void *state, qr_lib_log_level level, const char *message) {
    (void)state;
    fprintf(stderr, "querent (level %d): %s\n", (int)level, message);
}

static qr_lib_text text_of(const char *string) {
    qr_lib_text text = {string, strlen(string)};
    return text;
}

static qr_lib_model *load(const char *dir, qr_lib_info *info) {
    qr_lib_model *model;
    qr_lib_error error;
    const qr_lib_load_options options = {.struct_size = sizeof options,
                                         .precision = QR_LIB_PRECISION_F32};
    info->struct_size = sizeof *info;
    if (qr_lib_model_load(dir, &options, &model, &error) != QR_LIB_OK ||
        qr_lib_model_get_info(model, info, &error) != QR_LIB_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    return model;
}

/* The passage whose vector has the largest inner product with the query's. */
static int find_nearest(const char *dir, const char *query) {
    qr_lib_info info;
    qr_lib_error error;
    qr_lib_model *model = load(dir, &info);
    qr_lib_text texts[1 + PASSAGES] = {text_of(query)};
    for (int i = 0; i < PASSAGES; i++)
        texts[1 + i] = text_of(passages[i]);
    size_t room = (1 + PASSAGES) * info.dimensions;
    float *vectors = calloc(room, sizeof *vectors);
    if (vectors == NULL ||
        qr_lib_embed(model, texts, 1 + PASSAGES, NULL, vectors, room, &error) != QR_LIB_OK) {
        fprintf(stderr, "%s\n", vectors == NULL ? "out of memory" : error.message);
        exit(1);
    }
    int best = 0;
    float best_score = -2;
    for (int i = 0; i < PASSAGES; i++) {
        float score = 0;
        for (size_t d = 0; d < info.dimensions; d++)
            score += vectors[d] * vectors[(1 + (size_t)i) * info.dimensions + d];
        printf("%.4f  %s\n", score, passages[i]);
        if (score > best_score) {
            best = i;
            best_score = score;
        }
    }
    free(vectors);
    qr_lib_model_destroy(model);
    return best;
}

static void print_answer(const char *dir, const char *question, const char *passage) {
    qr_lib_info info;
    qr_lib_error error;
    qr_lib_answer answer;
    size_t count;
    qr_lib_model *model = load(dir, &info);
    if (qr_lib_span(model, text_of(question), text_of(passage), NULL, &answer, 1, &count, &error) !=
        QR_LIB_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    if (count == 1)
        printf("%.4f  %.*s\n", answer.score, (int)(answer.end_byte - answer.begin_byte),
               passage + answer.begin_byte);
    qr_lib_model_destroy(model);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: library EMBEDDER READER QUESTION\n");
        return 2;
    }
    qr_lib_log_to(print_log, NULL, QR_LIB_LOG_WARN);
    int best = find_nearest(argv[1], argv[3]);
    print_answer(argv[2], argv[3], passages[best]);
    return 0;
}
