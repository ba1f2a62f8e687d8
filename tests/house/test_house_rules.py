"""Each rule can fail: a small tree that breaks it, and one that does not."""

import shutil
import subprocess

import house_rules
import pytest
from house_rules import code_only, functions

HEAD = "/* what it is for */\n"
GOOD = {
    "src/base/base.h": HEAD + "#ifndef QR_BASE_H\n#define QR_BASE_H\n#include <stdint.h>\n#endif\n",
    "src/base/status.h": HEAD + "#ifndef QR_S_H\n#define QR_S_H\n#define L(X) \\\n    X(OK, 200, \"ok\") \\\n    X(LATE, 504, \"late\")\n#endif\n",
    "src/config/config.h": HEAD + "#ifndef QR_CONFIG_H\n#define QR_CONFIG_H\n#include \"base/base.h\"\n#endif\n",
    "src/tokenizer/tokenizer.h": HEAD + "#ifndef QR_T_H\n#define QR_T_H\n#include \"base/base.h\"\n#endif\n",
    "src/tokenizer/vocab.h": HEAD + "#ifndef QR_V_H\n#define QR_V_H\n#endif\n",
    "src/tokenizer/vocab_json.c": HEAD + "#include <jansson.h>\n#include \"tokenizer/vocab.h\"\n",
    "src/engine/engine.h": HEAD + "#ifndef QR_E_H\n#define QR_E_H\n#include \"base/base.h\"\n#endif\n",
    "src/engine/cpu/kernels/dot__avx2.c": HEAD + "#include <immintrin.h>\n",
    "src/pipeline/pipeline.h": HEAD + "#ifndef QR_P_H\n#define QR_P_H\n#include \"engine/engine.h\"\n#include \"tokenizer/tokenizer.h\"\n#endif\n",
    "src/server/loop.c": HEAD + "#include <uv.h>\n",
    "src/server/http/http.h": HEAD + "#ifndef QR_H_H\n#define QR_H_H\n#endif\n",
    "src/server/api/api.h": HEAD + "#ifndef QR_A_H\n#define QR_A_H\n#include \"server/http/http.h\"\n#include \"config/config.h\"\n#endif\n",
    "src/server/api/call.h": HEAD + "#ifndef QR_C_H\n#define QR_C_H\n#endif\n",
    "src/cli/main.c": HEAD + "#include \"pipeline/pipeline.h\"\nint main(void) {\n    return 0;\n}\n",
    "tests/unit/tokenizer/test_vocab.c": "#include <criterion/criterion.h>\n#include \"tokenizer/vocab.h\"\n",
    "docs/DESIGN.md": "".join(f"| `{room}/` | x |\n" for room in house_rules.DOORS if not room.startswith("server/")),
    "docs/ERRORS.md": "| `ok` | 200 | ok | - |\n| `late` | 504 | late | - |\n",
    "README.md": "[a](docs/DESIGN.md#b) [c](src/base) [d](https://example.com)\n\n    [e](nothing)\n",
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
    ("doors", "src/cli/a.c", HEAD + '#include "server/api/api.h"\n', "cli/ may not include"),
    ("doors", "src/cli/a.c", HEAD + '#include "nowhere.h"\n', "is not a file below src/"),
    ("doors", "src/garage/a.c", HEAD, "lies in no room"),
    ("test_doors", "tests/unit/base/test_a.c", '#include "tokenizer/vocab.h"\n', "tests of base/ may not"),
    ("owners", "src/tokenizer/vocab.c", HEAD + "#include <jansson.h>\n", "<jansson.h> belongs to"),
    ("owners", "src/server/api/a.c", HEAD + "#include <microhttpd.h>\n", "<microhttpd.h> belongs to"),
    ("owners", "src/server/server.c", HEAD + "#include <uv.h>\n", "<uv.h> belongs to"),
    ("owners", "src/server/loop.h", HEAD + "#include <uv.h>\n", "belongs to one file"),
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
    ("links", "docs/A.md", "see [there](NOWHERE.md#part)\n", "NOWHERE.md#part leads nowhere"),
    ("links", "README.md", "see [there](src/attic)\n", "src/attic leads nowhere"),
    ("status_docs", "docs/ERRORS.md", "| `ok` | 200 | ok | - |\n", "no row `| `late` | 504 | late |`"),
    ("status_docs", "docs/ERRORS.md", GOOD["docs/ERRORS.md"].replace("504", "500"), "no row `| `late` | 504 | late |`"),
    ("status_docs", "docs/ERRORS.md", GOOD["docs/ERRORS.md"] + "| `odd` | 200 | x | - |\n", "there is no status `odd`"),
    ("status_docs", "src/base/status.h", HEAD, "no table of statuses"),
]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in vars(house_rules) if name.startswith("check_")])
def test_a_good_tree_passes_and_every_rule_has_a_break(name):
    assert getattr(house_rules, name)(GOOD) == []
    assert name.removeprefix("check_") in {entry[0] for entry in BREAKS}


@pytest.mark.parametrize("rule,path,text,part", BREAKS)
def test_a_break_is_seen(rule, path, text, part):
    faults = getattr(house_rules, "check_" + rule)({**GOOD, path: text})
    assert any(part in fault for fault in faults), faults


def test_comments_and_strings_are_no_code():
    text = '/* strcpy(a) */ int a; // atoi(b)\nchar *s = "system(\\"x\\")"; char c = \'"\'; rand ();\n'
    bare = code_only(text)
    assert bare.count("\n") == text.count("\n")
    assert [found[1] for found in house_rules.BANNED.finditer(bare)] == ["rand"]
    assert house_rules.check_banned({"src/base/a.c": "void f(void) { qr_system(1); x.system(2); p->rand(3); operand(4); }"}) == []


def test_functions_are_found():
    text = (
        "static const int table[] = {\n    1,\n};\n\nint declared(int a);\n\nstruct s {\n    int a;\n};\n\n"
        "static int *one(int a,\n                int b) {\n    return 0;\n}\n\nTest(suite, two) {\n}\n"
    )
    assert [(name, first, last) for name, first, last, _ in functions(text)] == [("one", 11, 14), ("Test", 16, 17)]


def test_the_format_check_can_fail(tmp_path):
    if shutil.which("clang-format") is None:
        pytest.skip("clang-format is not installed")
    bad = tmp_path / "bad.c"
    bad.write_text("int  main( void ){return 0 ;}\n")
    style = f"--style=file:{house_rules.ROOT / '.clang-format'}"
    assert subprocess.run(["clang-format", style, "--dry-run", "-Werror", bad], capture_output=True).returncode != 0
