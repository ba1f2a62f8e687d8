/* Arenas, buffers and checked arithmetic: their borders. */
#include <criterion/criterion.h>

#include "base/base.h"

Test(arena, gives_zeroed_aligned_memory_up_to_its_maximum) {
    qr_arena arena;
    size_t got = 0;
    qr_arena_init(&arena, 64u << 10);
    for (unsigned char *p; (p = qr_arena_alloc(&arena, 1000)) != NULL; got++) {
        cr_assert_eq((uintptr_t)p % 64, 0);
        for (int i = 0; i < 1000; i++)
            cr_assert_eq(p[i], 0);
        memset(p, 0xAB, 1000);
    }
    cr_expect(got >= 32 && got <= 64, "%zu blocks of 1,000 bytes out of 64 KiB", got);
    cr_expect_leq(arena.held_bytes, arena.max_bytes);
    qr_arena_reset(&arena);
    unsigned char *again = qr_arena_alloc(&arena, 1000);
    cr_assert_not_null(again);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(again[i], 0, "memory of before shines through");
    qr_arena_deinit(&arena);
    qr_arena_deinit(&arena);
}

Test(arena, refuses_what_overflows) {
    qr_arena arena;
    qr_arena_init(&arena, 1u << 20);
    cr_expect_null(qr_arena_alloc(&arena, SIZE_MAX));
    cr_expect_null(qr_arena_alloc(&arena, SIZE_MAX - 63));
    cr_expect_null(qr_arena_array(&arena, SIZE_MAX / 2, 3));
    cr_expect_null(qr_arena_alloc(&arena, (1u << 20) + 1));
    cr_expect_not_null(qr_arena_alloc(&arena, 0));
    qr_text copy = qr_arena_text(&arena, qr_text_of("copied"));
    cr_expect_str_eq(copy.data, "copied");
    cr_expect_eq(copy.len, 6);
    qr_text none = qr_arena_text(&arena, (qr_text){NULL, 0});
    cr_expect_str_eq(none.data, "");
    qr_arena_deinit(&arena);
}

Test(buf, grows_to_its_maximum_and_keeps_what_it_has) {
    qr_buf buf;
    qr_buf_init(&buf, 10);
    qr_buf_literal(&buf, "12345678");
    cr_expect_not(qr_buf_failed(&buf));
    qr_buf_literal(&buf, "9AB");
    cr_expect(qr_buf_failed(&buf));
    qr_buf_byte(&buf, 'x'); /* would fit, but a failed buffer takes no more */
    cr_expect(qr_text_is((qr_text){buf.data, buf.len}, "12345678"));
    qr_buf_reset(&buf);
    qr_buf_literal(&buf, "0123456789");
    cr_expect_not(qr_buf_failed(&buf));
    cr_expect_eq(buf.len, 10);
    cr_expect_null(qr_buf_reserve(&buf, SIZE_MAX));
    qr_buf_deinit(&buf);
    qr_buf_deinit(&buf);
}

Test(buf, numbers_and_formats) {
    qr_buf buf;
    qr_buf_init(&buf, 100);
    qr_buf_u64(&buf, 0);
    qr_buf_byte(&buf, ' ');
    qr_buf_u64(&buf, UINT64_MAX);
    qr_buf_printf(&buf, " %d-%s", -5, "x");
    cr_expect(qr_text_is((qr_text){buf.data, buf.len}, "0 18446744073709551615 -5-x"));
    for (int i = 0; i < 20; i++)
        qr_buf_printf(&buf, "%s", "0123456789");
    cr_expect(qr_buf_failed(&buf));
    cr_expect_leq(buf.len, 100);
    qr_buf_deinit(&buf);
}

/* What is small may take all of it, what is large the first half; what is refused took nothing. */
Test(quota, leaves_the_second_half_to_what_is_small) {
    const size_t small = QR_QUOTA_SMALL_BYTES, max = 16 * small;
    qr_quota quota;
    qr_quota_init(&quota, max);
    cr_expect_not(qr_quota_take(&quota, 8 * small + 1, 8 * small + 1));
    cr_expect_eq(qr_quota_held(&quota), 0);
    cr_expect(qr_quota_take(&quota, 4 * small, 4 * small));
    cr_expect_not(qr_quota_is_short(&quota, 0));
    cr_expect(qr_quota_take(&quota, 4 * small, 8 * small));
    cr_expect(qr_quota_is_short(&quota, 0));
    cr_expect_not(qr_quota_take(&quota, 1, small + 1), "a little more of what is large");
    for (int i = 0; i < 8; i++)
        cr_expect(qr_quota_take(&quota, small, small));
    cr_expect_not(qr_quota_take(&quota, 1, 1));
    cr_expect_eq(qr_quota_held(&quota), max);
    qr_quota_force(&quota, 5);
    cr_expect_eq(qr_quota_held(&quota), max + 5);
    cr_expect_not(qr_quota_take(&quota, 0, 1), "above its maximum it gives nothing");
    qr_quota_give(&quota, max + 5);
    cr_expect_eq(qr_quota_held(&quota), 0);
    qr_quota_limit(&quota, small);
    cr_expect_eq(qr_quota_max(&quota), small);
    cr_expect_not(qr_quota_take(&quota, small + 1, 1));
}

/* A part counts what it takes of the whole, which alone has a limit, and what it was refused. */
Test(quota, a_part_takes_from_the_whole) {
    qr_quota whole, part;
    qr_quota_init(&whole, 1000);
    qr_quota_init_part(&part, &whole);
    qr_quota_force(&whole, 300);
    cr_expect(qr_quota_take(&part, 500, 500));
    cr_expect_eq(qr_quota_held(&part), 500);
    cr_expect_eq(qr_quota_held(&whole), 800);
    cr_expect_eq(qr_quota_wanted(&part), 500);
    cr_expect_not(qr_quota_take(&part, 201, 201));
    cr_expect_eq(qr_quota_held(&part), 500);
    cr_expect_eq(qr_quota_held(&whole), 800);
    cr_expect_eq(qr_quota_wanted(&part), 701);
    qr_quota_give(&part, 500);
    cr_expect_eq(qr_quota_held(&part), 0);
    cr_expect_eq(qr_quota_held(&whole), 300);
    qr_quota_init_part(&part, NULL);
    cr_expect(qr_quota_take(&part, 1u << 30, 1u << 30), "a part of none has no limit");
}

Test(quota, none_is_without_end) {
    cr_expect(qr_quota_take(NULL, SIZE_MAX, SIZE_MAX));
    qr_quota_give(NULL, 7);
    qr_quota_force(NULL, 7);
    cr_expect_eq(qr_quota_held(NULL), 0);
    cr_expect_eq(qr_quota_max(NULL), SIZE_MAX);
    cr_expect_not(qr_quota_is_short(NULL, 9));
}

Test(quota, a_buffer_takes_its_capacity_and_gives_it_back) {
    qr_quota quota;
    qr_buf buf, other;
    qr_quota_init(&quota, 1u << 20);
    qr_buf_init(&buf, 4u << 20);
    qr_buf_init(&other, 4u << 20);
    buf.quota = other.quota = &quota;
    qr_buf_literal(&buf, "few");
    cr_expect_eq(qr_quota_held(&quota), buf.capacity);
    cr_expect_not_null(qr_buf_reserve(&buf, 400000));
    cr_expect_null(qr_buf_reserve(&other, 200000), "large, and half of it is not free");
    cr_expect_not_null(qr_buf_reserve(&buf, 100));
    cr_expect(qr_buf_failed(&other) && !qr_buf_failed(&buf));
    cr_expect_eq(qr_quota_held(&quota), buf.capacity);
    qr_buf_reset(&other);
    other.vital = true;
    cr_expect_not_null(qr_buf_reserve(&other, 2000000), "what is vital is not refused");
    cr_expect_eq(qr_quota_held(&quota), buf.capacity + other.capacity);
    qr_buf_reset(&other);
    cr_expect_not(other.vital);
    qr_buf_swap(&buf, &other);
    qr_buf_deinit(&buf);
    cr_expect_eq(qr_quota_held(&quota), other.capacity);
    cr_expect_eq(buf.quota, &quota, "it may be used again");
    qr_buf_deinit(&other);
    cr_expect_eq(qr_quota_held(&quota), 0);
}

Test(quota, a_recycled_buffer_keeps_what_is_small_unless_others_are_short) {
    qr_quota quota;
    qr_buf buf;
    qr_quota_init(&quota, 1u << 20);
    qr_buf_init(&buf, 1u << 20);
    buf.quota = &quota;
    cr_assert_not_null(qr_buf_reserve(&buf, QR_QUOTA_SMALL_BYTES));
    buf.len = 7;
    buf.failed = buf.vital = true;
    qr_buf_recycle(&buf);
    cr_expect_eq(buf.capacity, QR_QUOTA_SMALL_BYTES);
    cr_expect_eq(buf.len, 0);
    cr_expect(!buf.failed && !buf.vital);
    cr_assert_not_null(qr_buf_reserve(&buf, QR_QUOTA_SMALL_BYTES + 1));
    qr_buf_recycle(&buf);
    cr_expect_eq(qr_quota_held(&quota), 0);
    cr_assert_not_null(qr_buf_reserve(&buf, 1));
    qr_quota_force(&quota, 1u << 19);
    qr_buf_recycle(&buf);
    cr_expect_eq(buf.capacity, 0);
    cr_expect_eq(qr_quota_held(&quota), 1u << 19);
    qr_buf_deinit(&buf);
}

/* A buffer that is long does not take twice what it needs. */
Test(quota, long_buffers_take_little_in_vain) {
    qr_buf buf;
    qr_buf_init(&buf, 64u << 20);
    for (size_t i = 0; i < 10000; i++) {
        char *to = qr_buf_reserve(&buf, 1024);
        cr_assert_not_null(to);
        memset(to, 'x', 1024);
        buf.len += 1024;
        if (buf.len > 3u << 20)
            cr_assert_leq(buf.capacity, buf.len + buf.len / 4 + 1024);
    }
    qr_buf_deinit(&buf);
}

Test(quota, an_arena_takes_its_blocks_and_gives_them_back) {
    qr_quota quota;
    qr_arena arena;
    qr_quota_init(&quota, 64u << 20);
    qr_arena_init(&arena, 256u << 20);
    arena.quota = &quota;
    size_t got = 0;
    while (qr_arena_alloc(&arena, 100000) != NULL)
        got++;
    cr_expect_eq(qr_quota_held(&quota), arena.held_bytes);
    cr_expect_leq(arena.held_bytes, 32u << 20, "large things have half of it");
    cr_expect_geq(got, 300, "%zu of about 335", got);
    qr_arena_reset(&arena);
    cr_expect_eq(qr_quota_held(&quota), arena.held_bytes);
    cr_expect_leq(arena.held_bytes, 1u << 20, "its first block");
    qr_arena_deinit(&arena);
    cr_expect_eq(qr_quota_held(&quota), 0);
    cr_expect_not_null(qr_arena_alloc(&arena, 10));
    cr_expect_gt(qr_quota_held(&quota), 0, "the quota is still the arena's");
    qr_arena_deinit(&arena);
}

Test(checked, says_when_a_result_does_not_fit) {
    size_t out;
    cr_expect(qr_checked_add(SIZE_MAX - 1, 1, &out));
    cr_expect_eq(out, SIZE_MAX);
    cr_expect_not(qr_checked_add(SIZE_MAX, 1, &out));
    cr_expect(qr_checked_mul(SIZE_MAX / 3, 3, &out));
    cr_expect_not(qr_checked_mul(SIZE_MAX / 3 + 1, 3, &out));
    cr_expect_eq(qr_round_up(0, 64), 0);
    cr_expect_eq(qr_round_up(1, 64), 64);
    cr_expect_eq(qr_round_up(64, 64), 64);
}
