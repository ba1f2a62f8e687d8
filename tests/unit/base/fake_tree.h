/* tests: files of /proc and /sys as Linux writes them, in a directory of the test's.
 *
 *     fake_tree_create();
 *     fake_tree_put("proc/self/cgroup", "0::/pod\n");
 *     ... qr_cores_read(fake_tree, 4) ...
 *     fake_tree_remove();
 */
#ifndef QR_TESTS_FAKE_TREE_H
#define QR_TESTS_FAKE_TREE_H

/** The tree's root. */
extern char fake_tree[64];

/** Makes an empty one, in place of one that was removed. */
void fake_tree_create(void);

/** Writes the file `name` below the root, in place of one that was there, and the folders above
 * it. */
void fake_tree_put(const char *name, const char *text);

/** Removes what was made. */
void fake_tree_remove(void);

#endif
