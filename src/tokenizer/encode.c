/* tokenizer/encode.c: one text or a pair into an encoding: the post-processor's template, and
 * truncation. */
#include "tokenizer/tokenizer_internal.h"

/* How many tokens of each text stay. */
typedef struct plan {
    size_t first, second;
} plan;

/* The longest of both gives first, then both alike; as the package counts it. */
static plan longest_first(size_t first, size_t second, size_t room) {
    bool swapped = first > second;
    size_t shorter = qr_min(first, second), longer;
    if (shorter > room)
        longer = shorter;
    else
        longer = qr_max(shorter, room - shorter);
    if (shorter + longer > room) {
        shorter = room / 2;
        longer = shorter + room % 2;
    }
    plan kept = swapped ? (plan){longer, shorter} : (plan){shorter, longer};
    return (plan){qr_min(kept.first, first), qr_min(kept.second, second)};
}

/* Fits two texts into `room` tokens. QR_TOO_LONG: the text that may be cut would have to go
 * entirely. */
static qr_status plan_truncation(const qr_encode_options *options, bool pair, size_t room,
                                 plan *kept) {
    size_t total = kept->first + kept->second;
    if (total <= room)
        return QR_OK;
    if (room == 0) {
        *kept = (plan){0, 0};
        return QR_OK;
    }
    if (options->truncation == QR_TRUNCATE_LONGEST_FIRST) {
        *kept = pair ? longest_first(kept->first, kept->second, room) : (plan){room, 0};
        return QR_OK;
    }
    bool cut_second = options->truncation == QR_TRUNCATE_ONLY_SECOND;
    size_t *cut = cut_second ? &kept->second : &kept->first;
    size_t excess = total - room;
    if (*cut <= excess)
        return QR_TOO_LONG;
    *cut -= excess;
    return QR_OK;
}

/* After how many tokens of a text the rest cannot matter, so that a huge text costs no more than
 * its part. */
static size_t enough_of_first(const qr_encode_options *options, bool pair, size_t room) {
    if (options->truncation == QR_TRUNCATE_ONLY_SECOND)
        return room; /* more leave no room for the second */
    return pair || options->truncate_left ? SIZE_MAX : room;
}

/* As enough_of_first, now that the first text's length is known. */
static size_t enough_of_second(const qr_encode_options *options, size_t room, size_t first) {
    switch (options->truncation) {
    case QR_TRUNCATE_ONLY_FIRST:
        return room; /* more leave no room for the first */
    case QR_TRUNCATE_ONLY_SECOND:
        return options->truncate_left ? SIZE_MAX : room - qr_min(first, room);
    case QR_TRUNCATE_LONGEST_FIRST:
        break;
    }
    return options->truncate_left ? SIZE_MAX : qr_max(first, room);
}

/* Where a text's tokens lie in the encoding. */
typedef struct range {
    size_t from, to;
} range;

/* Takes out what is too much, from the side that options say. */
static void cut(qr_encoding *out, range where, size_t kept, bool left) {
    size_t excess = where.to - where.from - kept;
    size_t from = left ? where.from : where.to - excess;
    qr__encoding_drop(out, from, from + excess);
}

/* Lays out specials and texts; where[0] and where[1] say where the texts came to lie. */
static qr_status lay_out(const qr_tokenizer *tokenizer, const qr__template *layout, qr_text text,
                         const qr_text *pair, const qr_encode_options *options, size_t room,
                         qr_encoding *out, range where[2]) {
    qr_status status = QR_OK;
    for (size_t i = 0; i < layout->len && status == QR_OK; i++) {
        int32_t what = layout->pieces[i].what;
        size_t from = out->len;
        if (what == QR__PIECE_FIRST) {
            status =
                qr__encode_text(tokenizer, text, enough_of_first(options, pair != NULL, room), out);
            where[0] = (range){from, out->len};
        } else if (what == QR__PIECE_SECOND) {
            size_t first = where[0].to - where[0].from;
            status = qr__encode_text(tokenizer, *pair, enough_of_second(options, room, first), out);
            where[1] = (range){from, out->len};
        } else if (options->special) {
            status = qr__encoding_fit(out, 1);
            if (status == QR_OK)
                qr__encoding_push(out, what, 0, 0, QR_NO_WORD);
        }
        qr__encoding_mark(out, from, layout->pieces[i].type, what >= 0);
    }
    return status;
}

qr_status qr_tokenizer_encode(const qr_tokenizer *tokenizer, qr_text text, const qr_text *pair,
                              const qr_encode_options *options, qr_encoding *out) {
    const qr__template *layout = pair == NULL ? &tokenizer->single : &tokenizer->pair;
    size_t specials = options->special ? layout->specials : 0, room = SIZE_MAX;
    range where[2] = {{0, 0}, {0, 0}};
    qr_status status = QR_OK;
    out->len = 0;
    out->truncated = false;
    if (options->max_tokens > 0) {
        if (options->max_tokens < specials)
            return QR_TOO_LONG;
        room = options->max_tokens - specials;
    }
    status = lay_out(tokenizer, layout, text, pair, options, room, out, where);
    if (status == QR_OK) {
        plan all = {where[0].to - where[0].from, where[1].to - where[1].from}, kept = all;
        status = plan_truncation(options, pair != NULL, room, &kept);
        if (status == QR_OK) {
            /* The second lies behind the first: cut it first, so that the places stay true. */
            cut(out, where[1], kept.second, options->truncate_left);
            cut(out, where[0], kept.first, options->truncate_left);
            out->truncated = kept.first < all.first || kept.second < all.second;
        }
    }
    if (status != QR_OK)
        out->len = 0;
    return status;
}
