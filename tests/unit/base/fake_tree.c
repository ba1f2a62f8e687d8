#include "base/fake_tree.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char fake_tree[64];

static char files[32][256];
static size_t files_len;

void fake_tree_create(void) {
    snprintf(fake_tree, sizeof fake_tree, "/tmp/querent-tree-XXXXXX");
    cr_assert_not_null(mkdtemp(fake_tree));
    files_len = 0;
}

void fake_tree_put(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", fake_tree, name);
    size_t known = 0;
    while (known < files_len && strcmp(files[known], path) != 0)
        known++;
    if (known == files_len) {
        cr_assert_lt(files_len, sizeof files / sizeof files[0]);
        snprintf(files[files_len++], sizeof files[0], "%s", path);
    }
    for (char *slash = path + strlen(fake_tree) + 1; (slash = strchr(slash, '/')) != NULL;
         slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file, "%s", path);
    fputs(text, file);
    fclose(file);
}

/* Directories go with the last file in them. */
void fake_tree_remove(void) {
    for (size_t i = 0; i < files_len; i++) {
        unlink(files[i]);
        for (char *slash; (slash = strrchr(files[i], '/')) > files[i] + strlen(fake_tree);) {
            *slash = '\0';
            rmdir(files[i]);
        }
    }
    rmdir(fake_tree);
}
