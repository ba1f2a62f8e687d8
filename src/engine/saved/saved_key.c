/* engine/saved/saved_key.c: what a plan or a proof follows from, as one hash.
 *
 * The plan is a function of model, program, instruction set and the precision that was asked for
 * (plan/plan.h). The program is the file that this code runs from (an executable or
 * libquerent.so), byte by byte: no version has to be raised for a changed packing not to read what
 * an older one wrote. Of the tokenizer only what it makes of the built-in texts counts; of
 * config.json and its neighbours the facts in qr_model_info. */
#include "engine/saved/saved_key.h"

#include <unistd.h>

#include "engine/saved/saved_program.h"

/* Each part goes in behind its length, so that no two lists of parts read alike. */
static void add(qr__saved_hash *hash, const void *data, size_t bytes) {
    const uint64_t length = bytes;
    qr__saved_hash_add(hash, &length, sizeof length);
    qr__saved_hash_add(hash, data, bytes);
}

static void add_number(qr__saved_hash *hash, uint64_t number) {
    qr__saved_hash_add(hash, &number, sizeof number);
}

static void add_text(qr__saved_hash *hash, const char *text) {
    add(hash, text, strlen(text));
}

/* Member by member: between members there may be anything. */
static void add_info(qr__saved_hash *hash, const qr_model_info *info) {
    const uint64_t numbers[] = {
        info->layers,    info->hidden,     info->heads,  info->feed_forward, info->vocab,
        info->positions, info->types,      info->labels, info->activation,   info->head,
        info->poolings,  info->parameters, info->denses, info->word_size,    info->problem};
    add_text(hash, info->architecture); /* stands for the family too */
    add_text(hash, info->dtype);
    add(hash, numbers, sizeof numbers);
    add(hash, &info->layer_norm_eps, sizeof info->layer_norm_eps);
    for (size_t i = 0; i < info->poolings; i++)
        add_number(hash, info->pooling[i]);
    for (size_t i = 0; i < info->denses; i++) {
        const qr_dense *dense = &info->dense[i];
        const uint64_t facts[] = {dense->in, dense->out, dense->bias, dense->activation,
                                  dense->residual};
        add(hash, facts, sizeof facts);
    }
}

static void add_probes(qr__saved_hash *hash, const qr_batch *probes) {
    add_number(hash, probes != NULL);
    if (probes == NULL)
        return;
    const size_t tokens = probes->starts[probes->sequences];
    add(hash, probes->starts, (probes->sequences + 1) * sizeof *probes->starts);
    add(hash, probes->ids, tokens * sizeof *probes->ids);
    add_number(hash, probes->types != NULL);
    if (probes->types != NULL)
        add(hash, probes->types, tokens);
}

static qr_status add_piece(void *user, const void *data, size_t bytes) {
    qr__saved_hash_add(user, data, bytes);
    return QR_OK;
}

static qr_status add_program(qr__saved_hash *hash, const qr_sink *sink, qr_error *error) {
    int fd;
    size_t bytes = 0;
    qr_status status = qr__saved_program_open(&fd, &bytes, error);
    if (status != QR_OK)
        return status;
    status = qr_sink_write_file(sink, fd, bytes);
    close(fd);
    add_number(hash, bytes);
    return status == QR_OK ? QR_OK
                           : qr_error_set(error, status, "the program's file cannot be read");
}

/* The bytes of program and model, which come last, and the digest of all. Gives the hash back. */
static qr_status finish(qr__saved_hash *hash, const qr_model *model, qr__saved_digest *out,
                        qr_error *error) {
    const qr_sink sink = {add_piece, hash};
    qr_status status = add_program(hash, &sink, error);
    if (status == QR_OK) {
        status = qr_model_write_files(model, &sink);
        if (status != QR_OK)
            qr_error_set(error, status, "the model's weights cannot be read");
    }
    if (status == QR_OK)
        qr__saved_hash_digest(hash, out);
    qr__saved_hash_destroy(hash);
    return status;
}

static void add_device(qr__saved_hash *hash, const qr_device *device) {
    add_text(hash, device->backend->name);
    add_text(hash, device->target);
}

qr_status qr__saved_key(const qr_saved_options *options, qr__saved_digest *out, qr_error *error) {
    qr__saved_hash *hash = qr__saved_hash_create();
    if (hash == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for a hash");
    add_number(hash, QR__SAVED_VERSION);
    add_device(hash, options->device);
    add_number(hash, options->asked);
    add_info(hash, qr_model_get_info(options->model));
    add_probes(hash, options->probes);
    add_probes(hash, options->calibration);
    return finish(hash, options->model, out, error);
}

qr_status qr__saved_proof_key(const qr_model *model, const qr_device *device, qr__saved_digest *out,
                              qr_error *error) {
    qr__saved_hash *hash = qr__saved_hash_create();
    if (hash == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for a hash");
    add_number(hash, QR__SAVED_VERSION);
    add_device(hash, device);
    add_info(hash, qr_model_get_info(model));
    return finish(hash, model, out, error);
}
