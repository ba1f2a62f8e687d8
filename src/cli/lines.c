/* cli/lines.c: read what is there, share groups of lines among threads, write the answers in order.
 *
 * Threads live for one block (some hundred lines): starting them costs far less than a block's
 * work, and nobody waits on a condition. Each group has its own output buffer, so order needs no
 * locks.
 */
#include "cli/lines.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/output.h"

#define READ_BYTES        (256u << 10)
#define LINE_MAX_BYTES    QR_LIMIT_BODY_BYTES
#define GROUPS_PER_THREAD 8u

typedef struct reader {
    qr_buf buf;
    size_t at;      /* where the next line begins */
    size_t scanned; /* no \n in buf before this, from `at` on */
    size_t number;  /* of the last line taken */
    bool at_end;
} reader;

typedef struct block {
    const qr__lines *work;
    qr__line *lines; /* [groups * work->group] */
    size_t len;
    qr_buf *outs; /* [groups] */
    size_t groups;
    atomic_size_t next;
    atomic_bool failed;
} block;

/* Reads more bytes behind the unfinished line, which moves to the front. */
static bool read_more(reader *in) {
    if (in->at > 0)
        memmove(in->buf.data, in->buf.data + in->at, in->buf.len - in->at);
    in->buf.len -= in->at;
    in->scanned -= in->at;
    in->at = 0;
    char *to = qr_buf_reserve(&in->buf, READ_BYTES);
    if (to == NULL) {
        fprintf(stderr, "querent: line %zu: longer than %u bytes, or no memory for it\n",
                in->number + 1, LINE_MAX_BYTES);
        return false;
    }
    ssize_t n;
    do
        n = read(STDIN_FILENO, to, READ_BYTES);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        fprintf(stderr, "querent: cannot read stdin: %s\n", strerror(errno));
        return false;
    }
    in->buf.len += (size_t)n;
    in->at_end = n == 0;
    return true;
}

/* The next line that is wholly there, or the last one. */
static bool take_line(reader *in, qr__line *out) {
    const char *data = in->buf.data;
    size_t left = in->buf.len - in->scanned;
    const char *end = left == 0 ? NULL : memchr(data + in->scanned, '\n', left);
    if (end == NULL) {
        in->scanned = in->buf.len;
        if (!in->at_end || in->at == in->buf.len)
            return false;
    }
    size_t stop = end == NULL ? in->buf.len : (size_t)(end - data);
    *out = (qr__line){{data + in->at, stop - in->at}, ++in->number};
    in->at = in->scanned = end == NULL ? stop : stop + 1;
    return true;
}

/* Takes the lines that are there, at least one; none at the end. */
static bool fill_block(reader *in, block *b) {
    size_t room = b->groups * b->work->group;
    b->len = 0;
    for (;;) {
        while (b->len < room && take_line(in, &b->lines[b->len]))
            b->len++;
        if (b->len > 0 || in->at_end)
            return true;
        if (!read_more(in))
            return false;
    }
}

static size_t groups_of(const block *b) {
    return (b->len + b->work->group - 1) / b->work->group;
}

/* Takes groups from the block until none is left. Whoever is fast takes more. */
static void work_on(block *b, void *worker) {
    size_t groups = groups_of(b);
    for (;;) {
        size_t group = atomic_fetch_add(&b->next, 1);
        if (group >= groups || atomic_load(&b->failed))
            return;
        size_t from = group * b->work->group;
        if (!b->work->run(worker, b->lines + from, qr_min(b->work->group, b->len - from),
                          &b->outs[group]))
            atomic_store(&b->failed, true);
    }
}

typedef struct helper {
    block *block;
    void *worker;
    pthread_t thread;
    bool started;
} helper;

static void *help(void *argument) {
    helper *self = argument;
    work_on(self->block, self->worker);
    return NULL;
}

/* The caller works too; a thread that cannot be started is not missed. */
static bool run_block(block *b, helper *helpers) {
    size_t threads = qr_min(b->work->threads, groups_of(b));
    atomic_store(&b->next, 0);
    for (size_t i = 1; i < threads; i++) {
        helpers[i] = (helper){.block = b, .worker = b->work->workers[i]};
        helpers[i].started = pthread_create(&helpers[i].thread, NULL, help, &helpers[i]) == 0;
    }
    work_on(b, b->work->workers[0]);
    for (size_t i = 1; i < threads; i++)
        if (helpers[i].started)
            pthread_join(helpers[i].thread, NULL);
    for (size_t group = 0; group < groups_of(b); group++) {
        if (atomic_load(&b->failed) || !qr__cli_write(&b->outs[group]))
            return false;
        qr_buf_reset(&b->outs[group]);
    }
    return true;
}

void qr__line_refuse(const char *command, const qr__line *line, const char *message, qr_buf *out) {
    fprintf(stderr, "querent %s: line %zu: %s\n", command, line->number, message);
    qr_buf_literal(out, "{\"error\":");
    qr_json_text(out, qr_text_of(message));
    qr_buf_literal(out, "}\n");
}

int qr__lines_map(const qr__lines *lines) {
    block b = {.work = lines, .groups = GROUPS_PER_THREAD * lines->threads};
    reader in = {0};
    bool good = false;
    qr_buf_init(&in.buf, LINE_MAX_BYTES + READ_BYTES);
    helper *helpers = calloc(lines->threads, sizeof *helpers);
    b.lines = calloc(b.groups * lines->group, sizeof *b.lines);
    b.outs = calloc(b.groups, sizeof *b.outs);
    if (helpers != NULL && b.lines != NULL && b.outs != NULL) {
        for (size_t i = 0; i < b.groups; i++)
            qr_buf_init(&b.outs[i], QR_LIMIT_RESPONSE_BYTES);
        do
            good = fill_block(&in, &b) && (b.len == 0 || run_block(&b, helpers));
        while (good && b.len > 0);
    } else {
        fprintf(stderr, "querent: no memory\n");
    }
    for (size_t i = 0; b.outs != NULL && i < b.groups; i++)
        qr_buf_deinit(&b.outs[i]);
    free(b.outs);
    free(b.lines);
    free(helpers);
    qr_buf_deinit(&in.buf);
    return good ? QR_EXIT_OK : QR_EXIT_FAULT;
}
