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
