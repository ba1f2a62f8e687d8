"""Each rule can fail: a small tree that breaks it, and one that does not."""

import shutil
import subprocess

import house_rules
import name_rules
import pytest
from house_rules import code_only, functions
from test_house import RULES
from text_rules import comments

HEAD = "/* what it is for */\n"
EXAMPLE = """/* what it is for
 *
 *     f(&a);      // ends
 *     f(&b);
 *
 *   KEY     means
 *   a       b
 *
 * Threads: one.
 */
#ifndef QR_X_H
#define QR_X_H

/** Its contract. */
int qr_x(int a);
"""
GOOD = {
    "src/base/base.h": HEAD + "#ifndef QR_BASE_H\n#define QR_BASE_H\n#include <stdint.h>\n" + "".join(
        f'#include "base/{name}.h"\n' for name in ("calls", "example", "hook", "status")) + "#endif\n",
    "src/base/calls.h": "/* what it is for\n *\n *     QR_HOOK(f(1, 2));  // qr_w(1)\n *     qr_y(), qr_x(\"),\"), qr_x(...);\n *     qr_hook(*name)(int a);\n *\n * qr_x() in prose.\n */\n#ifndef QR_CALLS_H\n#define QR_CALLS_H\n#define QR_ANY(...) 0\n#endif\n",
    "src/base/example.h": EXAMPLE + "\n/* A group.\n * Of two. */\n\n/** The next\n * one. */\nstatic inline int qr_y(void) {\n    return 0;\n}\n#endif\n",
    "src/base/hook.h": HEAD + "#ifndef QR_HOOK_H\n#define QR_HOOK_H\n#define QR_HOOK(x) \\\n    qr__hook(x)\n/** For QR_HOOK. */\nvoid qr__hook(int x) __attribute__((format(printf, 1, 2)));\n#endif\n",
    "src/base/status.h": HEAD + "#ifndef QR_S_H\n#define QR_S_H\n#define L(X) \\\n    X(OK, 200, \"ok\") \\\n    X(LATE, 504, \"late\")\n#endif\n",
    "src/config/config.h": HEAD + "#ifndef QR_CONFIG_H\n#define QR_CONFIG_H\n#include \"base/base.h\"\n#endif\n",
    "src/tokenizer/tokenizer.h": HEAD + "#ifndef QR_T_H\n#define QR_T_H\n#include \"base/base.h\"\n#endif\n",
    "src/tokenizer/vocab.h": HEAD + "#ifndef QR_V_H\n#define QR_V_H\ntypedef struct qr__vocab {\n    int a;\n} qr__vocab;\nstruct qr__slot;\n#endif\n",
    "src/tokenizer/words.h": HEAD + "#ifndef QR_W_H\n#define QR_W_H\ntypedef struct qr__words qr__words;\n/** Its contract. */\nint qr__words_find(const qr__words *words);\n#endif\n",
    "src/tokenizer/words.c": HEAD + "struct qr__words {\n    int a;\n};\nstruct local {\n    int b;\n};\n",
    "src/pipeline/local.c": HEAD + "struct local {\n    int b;\n};\n",
    "src/engine/cpu/kernels/dot_body.h": HEAD + "static inline int dot(int a) {\n    return a;\n}\n",
    "src/tokenizer/vocab_json.c": HEAD + "#include <jansson.h>\n#include \"tokenizer/vocab.h\"\n",
    "src/engine/engine.h": HEAD + "#ifndef QR_E_H\n#define QR_E_H\n#include \"base/base.h\"\n#endif\n",
    "src/engine/cpu/kernels/dot__avx2.c": HEAD + "#include <immintrin.h>\n",
    "src/pipeline/pipeline.h": HEAD + "#ifndef QR_P_H\n#define QR_P_H\n#include \"engine/engine.h\"\n#include \"tokenizer/tokenizer.h\"\n#endif\n",
    "src/server/loop.c": HEAD + "#include <uv.h>\nchar *s = getenv(\"QUERENT_X\"), *t = getenv(\"HOME\"), *u = getenv(\"XDG_X\");\n",
    "src/server/http/http.h": HEAD + "#ifndef QR_H_H\n#define QR_H_H\n#endif\n",
    "src/server/api/api.h": HEAD + "#ifndef QR_A_H\n#define QR_A_H\n#include \"server/exchange.h\"\n#endif\n",
    "src/server/exchange.h": HEAD + "#ifndef QR_EX_H\n#define QR_EX_H\n#endif\n",
    "src/server/api/call.h": HEAD + "#ifndef QR_C_H\n#define QR_C_H\n#endif\n",
    "src/cli/main.c": HEAD + "#include \"pipeline/pipeline.h\"\nint main(void) {\n    return 0;\n}\n",
    "tests/unit/tokenizer/test_vocab.c": "#include <criterion/criterion.h>\n#include \"tokenizer/vocab.h\"\nTest(vocab, load) {\n}\n",
    "docs/DESIGN.md": "".join(f"| `{room}/` | x |\n" for room in house_rules.DOORS if not room.startswith("server/")),
    "docs/ERRORS.md": "| `ok` | 200 | ok | - |\n| `late` | 504 | late | - |\n",
    "docs/API.md": "| 422, 504 | Overloaded | late |\n",
    "docs/SERVER.md": "    loop.c  libuv\n",
    "docs/PIPELINE.md": "| `local.c` | x |\n",
    "docs/man/querent.1.scd.in": "*QUERENT_X*, _$XDG_X/querent_\n",
    "docs/A.md": "| " + "wide " * 30 + "|\n\n    " + "wide " * 30 + "\n\n```\n" + "wide " * 30 + "\n```\n",
    "README.md": "# It: `a_b`, two\n[a](docs/DESIGN.md) [b](#it-a_b-two) [c](src/base) [d](https://example.com)\n\n    [e](nothing)\n`base/base.h` `base.h` `X.h` `_body.h`\n\n    tests/run-all --x --filter 'vocab/*'\n",
    "include/querent.h": HEAD + "#ifndef Q_H\n#define Q_H\n/** Its contract. */\nQR_LIB_MUST_USE QR_LIB_API int qr_lib_x(int a);\n#endif\n",
    "src/library/querent.map": "# comment;\nQUERENT_1 {\nglobal:\n    qr_lib_x;\nlocal:\n    *;\n};\n",
    "docs/man/querent.h.3.scd": "*qr_lib_x*\n",
    "tools/my_requirements.txt": "# what for\nonnx==1.23.2\n",
    "CMakeLists.txt": "# no -march=native here\nadd_compile_options(-O3)\n",
}  # fmt: skip

# rule, file, its text (None: the file goes), a part of the complaint
BREAKS = [
    ("doors", "src/base/text.c", HEAD + '#include "config/config.h"\n', 'base/ may not include "config/config.h"'),
    ("doors", "src/config/a.c", HEAD + '#include "tokenizer/tokenizer.h"\n', "config/ may not include"),
    ("doors", "src/tokenizer/a.c", HEAD + '#  include "engine/engine.h"\n', "tokenizer/ may not include"),
    ("doors", "src/engine/cpu/a.c", HEAD + '#include "tokenizer/tokenizer.h"\n', "engine/cpu/ may not include"),
    ("doors", "src/pipeline/a.c", HEAD + '#include "tokenizer/vocab.h"\n', 'pipeline/ may not include "tokenizer/vocab.h"'),
    ("doors", "src/server/ops/a.c", HEAD + '#include "server/api/call.h"\n', "server/ops/ may not include"),
    ("doors", "src/server/ops/a.c", HEAD + '#include "server/exchange.h"\n', "server/ops/ may not include"),
    ("doors", "src/server/http/a.c", HEAD + '#include "server/exchange.h"\n', "server/http/ may not include"),
    ("doors", "src/server/schedule/a.c", HEAD + '#include "server/exchange.h"\n', "server/schedule/ may not include"),
    ("doors", "src/server/api/a.c", HEAD + '#include "server/http/http.h"\n', "server/api/ may not include"),
    ("doors", "src/cli/a.c", HEAD + '#include "server/api/api.h"\n', "cli/ may not include"),
    ("doors", "src/cli/a.c", HEAD + '#include "nowhere.h"\n', "is not a file below src/"),
    ("doors", "src/garage/a.c", HEAD, "lies in no room"),
    ("test_doors", "tests/unit/base/test_a.c", '#include "tokenizer/vocab.h"\n', "tests of base/ may not"),
    ("owners", "src/tokenizer/vocab.c", HEAD + "#include <jansson.h>\n", "<jansson.h> belongs to"),
    ("owners", "src/server/api/a.c", HEAD + "#include <microhttpd.h>\n", "<microhttpd.h> belongs to"),
    ("owners", "src/server/server.c", HEAD + "#include <uv.h>\n", "<uv.h> belongs to"),
    ("owners", "src/server/loop.h", HEAD + "#include <uv.h>\n", "belongs to one file of a room"),
    ("owners", "src/engine/cpu/kernels/dot.c", HEAD + "#include <immintrin.h>\n", "<immintrin.h> belongs to"),
    ("owners", "src/base/a.c", HEAD + "#include <openssl/ssl.h>\n", "<openssl/ssl.h> has no owner"),
    ("banned", "src/base/a.c", HEAD + "int f(char *t) {\n    return atoi(t);\n}\n", "a.c:3: atoi is banned"),
    ("banned", "bench/a.c", "int f(char *t) {\n    return sscanf (t, x);\n}\n", "sscanf is banned"),
    ("banned", "tests/unit/base/a.c", 'void f(void) {\n    system("x");\n}\n', "system is banned"),
    ("gotos", "src/base/a.c", HEAD + "int f(int a) {\n    if (a)\n        goto one;\n    goto two;\none:\ntwo:\n    return a;\n}\n", "f jumps to 2 labels"),
    ("unfinished", "src/base/a.c", HEAD + "/* TODO: later */\n", "TODO"),
    ("flags", "cmake/Flags.cmake", "set(X -march=native)\n", "-march=native"),
    ("sizes", "src/base/a.c", HEAD + "int a;\n" * 600, "601 lines, more than 600"),
    ("sizes", "src/base/a.h", HEAD + "int a;\n" * 150, "151 lines, more than 150"),
    ("sizes", "src/base/a.c", HEAD + "int f(void)\n{\n" + "    f();\n" * 58 + "}\n", "f has 61 lines"),
    ("sizes", "src/tokenizer/unicode_tables.c", HEAD + "int a;\n" * 700, "names its tool"),
    ("names", "src/pipeline/vocab.h", HEAD, "vocab.h: "),
    ("heads", "src/base/a.c", "int a;\n", "begins without a comment"),
    ("heads", "src/base/a.h", HEAD + "int a;\n", "has no include guard"),
    ("heads", "src/base/a.h", GOOD["src/base/base.h"], "QR_BASE_H: guards 2 headers"),
    ("registries", "README.md", "see https://" + ".".join(["files", "pythonhosted", "org"]) + "/x\n", "names the registry"),
    ("registries", "docs/A.md", ".".join(["huggingface", "co"]) + "/models\n", "names the registry"),
    ("design_table", "docs/DESIGN.md", "| `base/` | x |\n", "no row for cli/"),
    ("design_table", "docs/DESIGN.md", GOOD["docs/DESIGN.md"] + "| `attic/` | x |\n", "no doors for attic/"),
    ("shadows", "bench/onnx.py", "import onnx\n", "bench/onnx.py: is named as a package of tools/my_requirements.txt"),
    ("links", "docs/A.md", "see [there](NOWHERE.md#part)\n", "NOWHERE.md#part leads nowhere"),
    ("links", "README.md", "see [there](src/attic)\n", "src/attic leads nowhere"),
    ("links", "README.md", "# It\n[b](#its)\n", "#its leads nowhere"),
    ("links", "docs/A.md", "[b](../README.md#it)\n\n    # It\n", "../README.md#it leads nowhere"),
    ("mentions", "docs/A.md", "see `base/attic.h`\n", "there is no base/attic.h"),
    ("mentions", "docs/A.md", "    attic.c   more\n", "there is no attic.c"),
    ("lists", "src/server/new.c", HEAD, "docs/SERVER.md: src/server/new.c is not listed"),
    ("scripts", "tests/house/text_rules.py", "#!/usr/bin/env python3\n", "text_rules.py: tests/house/text_rules.py is not executable"),
    ("scripts", "docs/A.md", "    tests/house/text_rules.py --x\n", "docs/A.md: tests/house/text_rules.py is not executable"),
    ("scripts", "docs/A.md", "see `tools/nowhere --x`\n", "docs/A.md: tools/nowhere is not executable"),
    ("filters", "docs/A.md", "    a --filter 'words/*'\n", "docs/A.md: no suite is called words"),
    ("filters", "docs/A.md", "`FILTER='*words/x' a`\n", "docs/A.md: no suite is called *words"),
    ("variables", "src/cli/a.c", HEAD + 'char *s = getenv("QUERENT_Y");\n', "QUERENT_Y of src/cli/a.c is missing"),
    ("status_docs", "docs/ERRORS.md", "| `ok` | 200 | ok | - |\n", "no row `| `late` | 504 | late |`"),
    ("status_docs", "docs/ERRORS.md", GOOD["docs/ERRORS.md"].replace("504", "500"), "no row `| `late` | 504 | late |`"),
    ("status_docs", "docs/ERRORS.md", GOOD["docs/ERRORS.md"] + "| `odd` | 200 | x | - |\n", "there is no status `odd`"),
    ("status_docs", "src/base/status.h", HEAD, "no table of statuses"),
    ("status_docs", "docs/API.md", "| 422 | Overloaded | 504 |\n", "docs/API.md: 504 (late) is in no row"),
    ("comments", "src/base/a.h", EXAMPLE.replace(" *     f(&b);\n", " * f(&b);\n"), "a.h:4: text flush behind an indented line"),
    ("comments", "src/base/a.h", EXAMPLE.replace("// ends", "// ends with\n * its line"), "a.h:4: text flush"),
    ("comments", "src/base/a.h", EXAMPLE.replace(" * Threads", " *  Threads"), "a.h:9: indented by 2"),
    ("comments", "src/base/a.h", "/* " + "word " * 20 + "*/\n", "a.h:1: 105 columns"),
    ("comments", "bench/a.c", "int a; // " + "word " * 20 + "\n", "a.c:1: 110 columns"),
    ("examples", "src/base/a.h", EXAMPLE.replace("f(&b)", "qr_x(a, f(b, c))"), "a.h:4: qr_x is called with 2 arguments; it takes 1"),
    ("examples", "src/base/a.h", EXAMPLE.replace("f(&b)", "qr_y(\n *         1)"), "a.h:4: qr_y is called with 1 arguments; it takes 0"),
    ("examples", "src/base/a.h", EXAMPLE.replace("f(&b)", "QR_HOOK()"), "a.h:4: QR_HOOK is called with 0 arguments; it takes 1"),
    ("examples", "src/base/a.c", EXAMPLE.replace("f(&b)", "qr_z(&b)"), "a.c:4: qr_z is called with 1 arguments; it is not there"),
    ("prose", "README.md", "word " * 21 + "\n", "README.md:1: 105 columns of prose"),
    ("prose", "docs/A.md", "```\ncode\n```\n- " + "word " * 20 + "[to](" + "x" * 90 + ")\n", "docs/A.md:4: 106 columns of prose"),
    ("prefixes", "src/tokenizer/vocab.h", HEAD + "#ifndef A\n#define A\nint qr_vocab_find(int a);\n#endif\n", "vocab.h:4: qr_vocab_find stands in a header of the room's own"),
    ("prefixes", "src/tokenizer/vocab.h", HEAD + "static inline qr_id qr_vocab_of(int a,\n    int b) {\n    return a;\n}\n", "vocab.h:2: qr_vocab_of stands"),
    ("prefixes", "src/tokenizer/tokenizer.h", HEAD + "QR_MUST_USE int qr__tokenizer_load(int a);\n", "qr__tokenizer_load stands in a public header"),
    ("prefixes", "src/base/status.h", HEAD + "int status_of(int a);\n", "status.h:2: status_of stands in a public header"),
    ("types", "src/config/config.h", HEAD + "typedef struct qr__vocab {\n    int a;\n} qr__vocab;\n", "config.h: a second typedef qr__vocab"),
    ("types", "src/config/config.h", HEAD + "typedef struct qr__vocab qr__vocab;\n", "config.h: a second typedef qr__vocab"),
    ("types", "src/config/a.c", HEAD + "struct qr__vocab {\n    int a;\n};\n", "a.c: a second body of qr__vocab"),
    ("types", "src/config/config.h", HEAD + "typedef enum { A } qr__vocab;\n", "config.h: a second typedef qr__vocab"),
    ("types", "src/config/config.h", HEAD + "typedef int (*qr__vocab)(int a);\n", "config.h: a second typedef qr__vocab"),
    ("sizes", "include/a.h", HEAD + "int a;\n" * 400, "401 lines, more than 400"),
    ("contracts", "include/a.h", HEAD + "\nQR_LIB_API int qr_lib_y(int a);\n", "include/a.h:3: qr_lib_y has no contract"),
    ("library", "include/querent.h", GOOD["include/querent.h"].replace("qr_lib_x", "qr_x"), "qr_x is not qr_lib_"),
    ("library", "include/querent.h", GOOD["include/querent.h"] + "/** Its contract. */\nQR_LIB_API const char *qr_lib_y(\n    int a);\n", "qr_lib_y is not exported"),
    ("library", "src/library/querent.map", "QUERENT_1 {\n    qr_lib_x;\n    qr_lib_z;\n};\n", "qr_lib_z is not in include/querent.h"),
    ("library", "docs/man/querent.h.3.scd", "nothing\n", "querent.h.3.scd: qr_lib_x is missing"),
    ("library", "src/base/hook.h", GOOD["src/base/hook.h"] + "/** Its contract. */\nint qr_lib_x(int a);\n", "qr_lib_x is the library's"),
    ("contracts", "src/base/a.h", EXAMPLE + "void qr_a_deinit(int a);\n", "a.h:16: qr_a_deinit has no contract"),
    ("contracts", "src/base/a.h", EXAMPLE + "int b; /* of a */\nQR_MUST_USE qr_status qr_a(int a,\n    int b);\n", "a.h:17: qr_a has no contract"),
    ("contracts", "src/base/a.h", EXAMPLE + "static inline int qr_a(int a) {\n    return a;\n}\n", "a.h:16: qr_a has no contract"),
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_a_good_tree_passes_and_every_rule_has_a_break(rule):
    assert RULES[rule](GOOD) == []
    assert rule in {entry[0] for entry in BREAKS}


@pytest.mark.parametrize("rule,path,text,part", BREAKS)
def test_a_break_is_seen(rule, path, text, part):
    faults = RULES[rule]({**GOOD, path: text})
    assert any(part in fault for fault in faults), faults


def test_comments_and_strings_are_no_code():
    text = '/* strcpy(a) */ int a; // atoi(b)\nchar *s = "system(\\"x\\")"; char c = \'"\'; rand ();\n'
    bare = code_only(text)
    assert bare.count("\n") == text.count("\n")
    assert [found[1] for found in house_rules.BANNED.finditer(bare)] == ["rand"]
    assert house_rules.check_banned({"src/base/a.c": "void f(void) { qr_system(1); x.system(2); p->rand(3); operand(4); }"}) == []


def test_comments_are_found():
    text = 'char *s = "/* none */"; /* one */\nint a; // two /* three\n/* four\n * five */ int b; char c = \'"\'; /* six */\n'
    assert comments(text) == [(1, "/* one */"), (2, "// two /* three"), (3, "/* four\n * five */"), (4, "/* six */")]


def test_declarations_are_found():
    text = (
        "#define QR_CALL(x) \\\n    qr_called(x)\n/* int none(void); */\ntypedef int (*qr_hook)(int a);\nextern const int qr_table[2];\n"
        "struct qr_s {\n    void (*member)(int a);\n};\nQR_MUST_USE qr_status qr_one(const char *a,\n    size_t b);\n"
        "static inline bool two(int a) {\n    return three(a);\n}\nvoid qr_four(const char *format, ...)\n    __attribute__((format(printf, 1, 2)));\n"
    )
    assert name_rules.declarations(text) == [(9, "qr_one", False), (11, "two", True), (14, "qr_four", False)]


def test_functions_are_found():
    text = (
        "static const int table[] = {\n    1,\n};\n\nint declared(int a);\n\nstruct s {\n    int a;\n};\n\n"
        "static int *one(int a,\n                int b) {\n    return 0;\n}\n\nTest(suite, two) {\n}\n"
    )
    assert [(name, first, last) for name, first, last, _ in functions(text)] == [("one", 11, 14), ("Test", 16, 17)]


def test_the_format_check_can_fail(tmp_path):
    if shutil.which("clang-format-19") is None:
        pytest.skip("clang-format-19 is not installed")
    bad = tmp_path / "bad.c"
    bad.write_text("int  main( void ){return 0 ;}\n")
    style = f"--style=file:{house_rules.ROOT / '.clang-format'}"
    assert subprocess.run(["clang-format-19", style, "--dry-run", "-Werror", bad], capture_output=True).returncode != 0
