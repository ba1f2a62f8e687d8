/* tests: libquerent's calls on tiny models. */
#ifndef QR_TESTS_LIBRARY_FIXTURE_H
#define QR_TESTS_LIBRARY_FIXTURE_H

#include <querent.h>

#define HIDDEN  32
#define LONGEST 64

/** A model in a directory of its own: head NULL, "span" or "labels"; a vocabulary of "w5" to
 * "w199". calls_most: as qr_lib_load_options has it. */
qr_lib_model *tiny_load(const char *head, size_t labels, int threads, int calls_most);

/** As tiny_load, the directory alone: remove it with temp_dir_remove(). */
void tiny_write(char dir[64], const char *head, size_t labels);

/** Words of the vocabulary, `words` of them, that follow from `seed`; free() text.data. */
qr_lib_text text_make(unsigned seed, size_t words);

/** A C string as a text. */
qr_lib_text text_of(const char *string);

#endif
