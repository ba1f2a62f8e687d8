/* tokenizer/normalize.c: the four steps of BertNormalizer, folded into one pass.
 *
 * Steps 1, 2 and 4 look at one character. NFD does not: it puts runs of marks in canonical order,
 * and the package aligns the sorted run with the original characters by position: the n-th
 * character that replaces one stands for the n-th original, whatever it was. Nearly always this
 * cannot be seen, because every mark of the run is stripped. It can be where a character of a
 * non-zero combining class is no nonspacing mark (Mc, or a mark younger than the package's tables):
 * then the run is gone through once for each class that survives, without any memory.
 */
#include "tokenizer/normalize.h"

void qr__normalizer_init(qr__normalizer *stream, const qr__normalizer_options *options,
                         qr_text text, size_t from, size_t to) {
    stream->text = (qr_text){text.data, to};
    stream->options = *options;
    stream->cursor = (qr__cursor){from, 0};
    stream->queue_at = stream->queue_len = 0;
    stream->lead = (qr__char){0, 0, 0};
    stream->run_from = stream->cursor;
    stream->sorting = false;
}

/* Steps 1 and 2: the next character of the cleaned text, Chinese ones between spaces. */
static bool read_char(const qr__normalizer *stream, qr__cursor *cursor, qr__char *out) {
    const qr__normalizer_options *options = &stream->options;
    if (cursor->chinese == 2) {
        size_t begin = cursor->at - 1;
        while (((uint8_t)stream->text.data[begin] & 0xC0) == 0x80)
            begin--;
        *out = (qr__char){' ', (uint32_t)begin, (uint32_t)cursor->at};
        cursor->chinese = 0;
        return true;
    }
    while (cursor->at < stream->text.len) {
        size_t bytes;
        uint32_t code = qr__utf8_decode(stream->text, cursor->at, &bytes);
        *out = (qr__char){code, (uint32_t)cursor->at, (uint32_t)(cursor->at + bytes)};
        if (cursor->chinese == 1) {
            cursor->chinese = 2;
            cursor->at += bytes;
            return true;
        }
        unsigned flags = qr__unicode_flags(code);
        if (options->handle_chinese_chars && (flags & QR__CHINESE) != 0) {
            cursor->chinese = 1;
            out->code = ' ';
            return true;
        }
        cursor->at += bytes;
        if (options->clean_text && (flags & QR__REMOVED) != 0)
            continue;
        if (options->clean_text && (flags & QR__BLANK) != 0)
            out->code = ' ';
        return true;
    }
    return false;
}

/* Step 4, into the queue. */
static void emit(qr__normalizer *stream, uint32_t code, const qr__char *from) {
    uint32_t lower[2] = {code, 0};
    size_t n = stream->options.lowercase ? qr__unicode_to_lower(code, lower) : 1;
    for (size_t i = 0; i < n; i++)
        stream->queue[stream->queue_len++] = (qr__char){lower[i], from->begin, from->end};
}

static bool is_starter(uint32_t code) {
    return qr__unicode_of(code).combining_class == 0;
}

static bool is_stripped(uint32_t code) {
    return (qr__unicode_flags(code) & QR__MARK) != 0;
}

/* The run's state at its begin: behind the starters of the character that leads it. */
static qr__run run_begin(const qr__normalizer *stream) {
    qr__run run = {.cursor = stream->run_from};
    if (stream->lead.end > 0) {
        run.len = (uint8_t)qr__unicode_decompose(stream->lead.code, run.parts);
        run.at = run.len;
        while (run.at > 0 && !is_starter(run.parts[run.at - 1]))
            run.at--;
    }
    return run;
}

/* The run's next part; `first` when it replaces an original character rather than being put in
 * behind one. False at the next starter, which stays unread. */
static bool run_next(const qr__normalizer *stream, qr__run *run, uint32_t *part, bool *first) {
    if (run->at == run->len) {
        qr__cursor behind = run->cursor;
        qr__char c;
        if (!read_char(stream, &behind, &c))
            return false;
        size_t len = qr__unicode_decompose(c.code, run->parts);
        if (is_starter(run->parts[0])) {
            run->len = run->at = 0;
            return false;
        }
        run->cursor = behind;
        run->len = (uint8_t)len;
        run->at = 0;
    }
    *first = run->at == 0;
    *part = run->parts[run->at++];
    return true;
}

/* Starts the lowest class above the last one that has a surviving part; false, with the stream
 * behind the run, when there is none. */
static bool next_class(qr__normalizer *stream) {
    qr__run run = run_begin(stream);
    unsigned best = 256;
    uint32_t part;
    bool first;
    while (run_next(stream, &run, &part, &first)) {
        unsigned klass = qr__unicode_of(part).combining_class;
        if (klass > stream->combining_class && klass < best && !is_stripped(part))
            best = klass;
    }
    if (best == 256) {
        stream->sorting = false;
        stream->cursor = run.cursor;
        return false;
    }
    stream->combining_class = best;
    stream->replaced = stream->lead;
    stream->replaced_cursor = stream->run_from;
    run = run_begin(stream);
    while (run_next(stream, &run, &part, &first))
        if (first && qr__unicode_of(part).combining_class < best)
            read_char(stream, &stream->replaced_cursor, &stream->replaced);
    stream->run = run_begin(stream);
    return true;
}

/* Emits the next surviving part of the run in canonical order; false when the run is done. */
static bool emit_sorted(qr__normalizer *stream) {
    for (;;) {
        uint32_t part;
        bool first;
        while (run_next(stream, &stream->run, &part, &first)) {
            if (qr__unicode_of(part).combining_class != stream->combining_class)
                continue;
            if (first)
                read_char(stream, &stream->replaced_cursor, &stream->replaced);
            if (is_stripped(part))
                continue;
            emit(stream, part, &stream->replaced);
            return true;
        }
        if (!next_class(stream))
            return false;
    }
}

/* Step 3 for one character: emits its starters; its marks are dropped, or the whole run is sorted.
 */
static void emit_decomposed(qr__normalizer *stream, const qr__char *c) {
    uint32_t parts[QR__DECOMPOSITION_MAX];
    size_t len = qr__unicode_decompose(c->code, parts);
    size_t starters = len;
    while (starters > 0 && !is_starter(parts[starters - 1]))
        starters--;
    for (size_t i = 0; i < starters; i++)
        if (!is_stripped(parts[i]))
            emit(stream, parts[i], c);
    if (starters > 0) {
        stream->lead = *c;
        stream->run_from = stream->cursor;
    }
    for (size_t i = starters; i < len && !stream->sorting; i++)
        stream->sorting = !is_stripped(parts[i]);
    if (stream->sorting) {
        stream->combining_class = 0;
        next_class(stream); /* finds one: a surviving part was just seen */
    }
}

/* Nothing to decompose, to drop or to put in order. */
static bool stands_as_it_is(uint32_t code, qr__unicode_record record) {
    return record.combining_class == 0 && (record.flags & (QR__MARK | QR__DECOMPOSES)) == 0 &&
           !qr__unicode_is_hangul(code);
}

bool qr__normalizer_next(qr__normalizer *stream, qr__char *out) {
    while (stream->queue_at == stream->queue_len) {
        stream->queue_at = stream->queue_len = 0;
        if (stream->sorting) {
            emit_sorted(stream);
            continue;
        }
        qr__char c;
        if (!read_char(stream, &stream->cursor, &c))
            return false;
        qr__unicode_record record = qr__unicode_of(c.code);
        if (stream->options.strip_accents && !stands_as_it_is(c.code, record)) {
            emit_decomposed(stream, &c);
            continue;
        }
        stream->lead = c;
        stream->run_from = stream->cursor;
        if (!stream->options.lowercase || (record.flags & QR__LOWER) == 0) {
            *out = c;
            return true;
        }
        emit(stream, c.code, &c);
    }
    *out = stream->queue[stream->queue_at++];
    return true;
}
