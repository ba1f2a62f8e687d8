"""The rules of docs/HOUSE.md that a program can check. Each takes the tree as {path: text} and returns complaints, one a line;
test_house.py runs them on the real tree, test_house_rules.py shows that each can fail."""

import fnmatch
import os
import re
import subprocess
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# ---- The tree --------------------------------------------------------------------------------------------------------------------


def tracked_files():
    """What git tracks or would (nothing ignored); without git, what is there less build trees and models."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
        ).stdout.decode()
        paths = [path for path in listed.split("\0") if path]
    except (OSError, subprocess.CalledProcessError):
        paths = []
        for folder, folders, files in os.walk(ROOT):
            folders[:] = [name for name in folders if not re.match(r"\.git$|\.venv|\.cache|build|__pycache__", name)]
            paths += [os.path.relpath(os.path.join(folder, name), ROOT) for name in files]
    return sorted(path for path in paths if (ROOT / path).is_file())


def read_tree():
    """Every text file of the tree; binary files (by a NUL in the first kilobytes) are left out."""
    tree = {}
    for path in tracked_files():
        data = (ROOT / path).read_bytes()
        if b"\0" not in data[:4096]:
            tree[path] = data.decode("utf-8", "replace")
    return tree


def c_files(tree, *folders):
    return {path: text for path, text in tree.items() if path.endswith((".c", ".h", ".cu", ".cpp")) and path.startswith(folders or ("",))}


def code_only(text):
    """C without comments and without the insides of strings; line numbers stay."""
    pattern = r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''

    def blank(found):
        piece = found[0]
        return piece[0] + piece[-1] if piece[0] in "\"'" else "\n" * piece.count("\n") or " "

    return re.sub(pattern, blank, text, flags=re.S)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


# ---- Doors -----------------------------------------------------------------------------------------------------------------------

# Which headers of other rooms a room may include. Inside itself a room is free.
BASE = "base/base.h"
ENGINE = ["engine/engine.h", "engine/batch.h", "engine/model_info.h", "engine/plan_info.h"]  # the first includes the others
STREAM = "engine/byte_stream.h"
DOORS = {
    "base": [],
    "config": [BASE],
    "tokenizer": [BASE],
    "onnx": [BASE],
    "engine": [BASE, "engine/model/model.h", "engine/model/import.h", "engine/plan/plan.h",
               "engine/plan/proof.h", "engine/cpu/cpu.h", "engine/cuda/cuda.h", "engine/saved/saved.h"],
    "engine/model": [BASE, *ENGINE, "engine/convert.h", STREAM, "onnx/onnx.h"],
    "engine/plan": [BASE, *ENGINE, "engine/backend.h", "engine/model/model.h", "engine/model/import.h", "engine/model/recognised.h",
                    "engine/cpu/ref/ref.h", "onnx/onnx.h"],
    "engine/saved": [BASE, *ENGINE, STREAM, "engine/backend.h", "engine/model/model.h"],
    "engine/cpu": [BASE, *ENGINE, STREAM, "engine/backend.h", "engine/model/model.h"],
    "engine/cuda": [BASE, *ENGINE, "engine/backend.h", "engine/model/model.h"],
    "pipeline": [BASE, "tokenizer/tokenizer.h", "engine/engine.h"],
    "library": [BASE, "pipeline/pipeline.h"],
    "server": [BASE, "config/config.h", "pipeline/pipeline.h", "server/http/http.h", "server/api/api.h",
               "server/schedule/schedule.h", "server/schedule/simulation.h", "server/ops/ops.h"],
    "server/http": [BASE, "server/loop.h"],
    "server/schedule": [BASE],
    "server/ops": [BASE],
    "server/api": [BASE, "server/exchange.h", "server/fault.h", "server/serving.h"],
    "cli": [BASE, "config/config.h", "tokenizer/tokenizer.h", "engine/engine.h", "engine/convert.h", "pipeline/pipeline.h", "server/server.h",
            "server/costs.h"],
}

# Third-party headers and the files that may include them.
OWNERS = {
    "jansson.h": r"src/(base|tokenizer|engine/model|pipeline|server/api)/[^/]*json[^/]*\.[ch]|src/cli/[^/]*\.c|tests/unit/.*",
    "setjmp.h": r"src/base/json_parse\.c",
    "microhttpd.h": r"src/server/http/[^/]*\.[ch]",
    "uv.h": r"src/server/loop\.[ch]",
    "seccomp.h": r"src/server/system_calls\.c",
    "xxhash.h": r"src/engine/saved/[^/]*\.c",
    "cblas.h": r"src/(engine/cpu|onnx)/.*__openblas\.c",
    "cyaml/cyaml.h": r"src/config/[^/]*\.c",
    "yaml.h": r"src/config/[^/]*\.c",
    "onnx.pb-c.h": r"src/onnx/[^/]*\.[ch]|tests/unit/onnx/.*",
    "protobuf-c/protobuf-c.h": r"src/onnx/[^/]*\.[ch]",
    "immintrin.h": r"src/engine/cpu/.*__(avx2|avx2vnni|avx512f|avx512vnni|avx512bf16|amx)\.c|src/engine/cpu/kernels/vec_[^/]*\.h",
    "arm_neon.h": r"src/engine/cpu/.*__(neon|neondot|neoni8mm)\.c|src/engine/cpu/kernels/vec_[^/]*\.h",
    "cpuid.h": r"src/engine/cpu/.*\.c",
    "dlfcn.h": r"src/engine/cuda/.*\.c|tests/cuda/.*|bench/cuda\.c|tests/server/fail_allocation\.c",
    "sys/auxv.h": r"src/engine/cpu/.*\.c",
    "querent.h": r"src/library/.*|examples/.*|tests/(unit/)?library/.*",
    "link.h": r"src/engine/cuda/module_file\.c",
    "cuda.h": r"tests/cuda/host/calls_check\.cpp",
    "cublasLt.h": r"tests/cuda/host/calls_check\.cpp",
    "criterion/criterion.h": r"tests/(unit|cuda/host)/.*",
    "criterion/logging.h": r"tests/unit/.*",
    "criterion/parameterized.h": r"tests/unit/.*",
}
ONE_FILE_ONLY = ("xxhash.h", "cyaml/cyaml.h", "yaml.h", "cpuid.h", "sys/auxv.h", "uv.h", "seccomp.h")

# libc and Linux. A header that is in neither list is a new dependency, and needs an owner.
LIBC = set(
    "arpa/inet.h assert.h ctype.h dirent.h errno.h fcntl.h float.h grp.h inttypes.h limits.h linux/futex.h linux/filter.h linux/openat2.h linux/sockios.h linux/tcp.h locale.h math.h "
    "netdb.h netinet/in.h netinet/tcp.h poll.h pthread.h sched.h semaphore.h signal.h stdarg.h stdatomic.h stdbool.h stddef.h "
    "stdint.h stdio.h stdlib.h string.h strings.h sys/epoll.h sys/eventfd.h sys/ioctl.h sys/mman.h sys/prctl.h sys/ptrace.h sys/random.h sys/resource.h "
    "sys/socket.h sys/stat.h sys/syscall.h sys/time.h sys/timerfd.h sys/types.h sys/uio.h sys/un.h sys/wait.h time.h unistd.h "
    "wchar.h".split()
)

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(?:"([^"]+)"|<([^>]+)>)', re.M)


def room_of(path):
    """The longest room that holds src/`path`'s folder, or None."""
    folder = os.path.dirname(path.removeprefix("src/"))
    while folder and folder not in DOORS:
        folder = os.path.dirname(folder)
    return folder or None


def may_include(room, header):
    if room_of("src/" + header) == room:
        return True
    for door in DOORS[room]:
        if header == door or (door.endswith("/*.h") and os.path.dirname(header) == door[:-4]):
            return True
    return False


def includes(text):
    """(line, quoted header or None, system header or None); commented-out includes do not count."""
    bare = re.sub(r"/\*.*?\*/", lambda found: "\n" * found[0].count("\n"), text, flags=re.S)
    return [(line_of(bare, found.start()), found[1], found[2]) for found in INCLUDE.finditer(bare)]


# What a test's build puts in the place of a device's own header: not below src/.
GIVEN = {"gpu_emulated.h": "src/engine/cuda/kernels/gpu.h"}


def check_doors(tree):
    """Rooms include only what the table allows."""
    faults = []
    for path, text in c_files(tree, "src/").items():
        room = room_of(path)
        if room is None:
            faults.append(f"{path}: lies in no room of the table")
            continue
        for line, header, _ in includes(text):
            if header is None or GIVEN.get(header) == path:
                continue
            if "src/" + header not in tree:
                faults.append(f'{path}:{line}: "{header}" is not a file below src/')
            elif not may_include(room, header):
                faults.append(f'{path}:{line}: {room}/ may not include "{header}"')
    return faults


def check_test_doors(tree):
    """A room's tests may open that room's private headers, and of other rooms only what the room itself may."""
    faults = []
    for path, text in c_files(tree, "tests/unit/").items():
        room = path.split("/")[2]
        for line, header, _ in includes(text):
            if header is None or "src/" + header not in tree:
                continue
            top = header.split("/")[0]
            doors = {door for name, headers in DOORS.items() if name.split("/")[0] == room for door in headers}
            if top != room and header not in doors:
                faults.append(f'{path}:{line}: tests of {room}/ may not include "{header}"')
    return faults


def check_owners(tree):
    """Third-party headers are included by their owners alone; others are libc's."""
    faults, users = [], {}
    for path, text in c_files(tree, "src/", "include/", "examples/", "tests/", "bench/").items():
        for line, _, header in includes(text):
            if header is None or header in LIBC or (path.startswith("tests/cuda/") and "." not in header):  # those of C++
                continue
            if header not in OWNERS:
                faults.append(f"{path}:{line}: <{header}> has no owner in tests/house/house_rules.py")
            elif not re.fullmatch(OWNERS[header], path):
                faults.append(f"{path}:{line}: <{header}> belongs to {OWNERS[header]}")
            else:
                users.setdefault(header, set()).add(path)
    for header in ONE_FILE_ONLY:
        for room in {room_of(path) for path in users.get(header, ())}:
            files = sorted(path for path in users[header] if room_of(path) == room)
            if len(files) > 1:
                faults.append(f"<{header}> belongs to one file of a room, not to {', '.join(files)}")
    return faults


# ---- Language --------------------------------------------------------------------------------------------------------------------

BANNED = re.compile(
    r"(?<![\w.>])(strcpy|strcat|stpcpy|v?sprintf|strtok|atoi|atol|atoll|atof|v?f?s?scanf|alloca|system|popen|s?rand|gets|"
    r"tmpnam|mktemp)\s*\("
)


def check_banned(tree):
    faults = []
    for path, text in c_files(tree).items():
        bare = code_only(text)
        for found in BANNED.finditer(bare):
            faults.append(f"{path}:{line_of(bare, found.start())}: {found[1]} is banned")
    return faults


def functions(text):
    """(name, first line, last line, body) of each function: a `{` that ends a line begun at column 0, up to a `}` at column 0."""
    lines = code_only(text).split("\n")
    found, start = [], None
    for number, line in enumerate(lines, 1):
        if start is None and re.match(r"[A-Za-z_]", line) and not line.startswith(("typedef", "struct", "enum", "union")):
            start = number
        if start is not None and line.startswith("}"):
            head = " ".join(lines[start - 1 : number])
            name = re.match(r"[^={;]*?(\w+)\s*\([^{;]*\)\s*\{", head)
            if name:
                found.append((name[1], start, number, "\n".join(lines[start - 1 : number])))
            start = None
        elif start is not None and line.rstrip().endswith(";") and not line.startswith((" ", "\t", "{")):
            start = None
        elif start is not None and line.rstrip().endswith(");") and "{" not in " ".join(lines[start - 1 : number]):
            start = None
    return found


def check_gotos(tree):
    """One label a function, the cleanup exit."""
    faults = []
    for path, text in c_files(tree).items():
        for name, first, _, body in functions(text):
            labels = set(re.findall(r"\bgoto\s+(\w+)", body))
            if len(labels) > 1:
                faults.append(f"{path}:{first}: {name} jumps to {len(labels)} labels ({', '.join(sorted(labels))}); one exit is enough")
    return faults


UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|not yet implemented)\b")


def check_unfinished(tree):
    return [
        f"{path}:{line_of(text, found.start())}: {found[1]}"
        for path, text in c_files(tree, "src/").items()
        for found in UNFINISHED.finditer(text)
    ]


def check_flags(tree):
    """Instruction sets belong to single files; no file relies on the machine that built it."""
    faults = []
    for path, text in tree.items():
        if path.endswith(("CMakeLists.txt", ".cmake", "CMakePresets.json", "Makefile")):
            bare = re.sub(r"#.*", "", text)
            for flag in ("-march=native", "-mtune=native", "-ffast-math", "-Ofast"):
                if flag in bare:
                    faults.append(f"{path}: {flag}")
    return faults


# ---- Shape -----------------------------------------------------------------------------------------------------------------------

SOURCE_LINES = 600
HEADER_LINES = 150
PUBLIC_HEADER_LINES = 400  # include/: one page has all that a stranger needs
FUNCTION_LINES = 60
GENERATED = re.compile(r"_tables\.c$")
BODY = re.compile(r"_(body|tile|loop)\.h$")  # the shared body of per-ISA instances: code, included once by each, without a guard


def check_sizes(tree):
    faults = []
    for path, text in c_files(tree).items():
        lines = text.count("\n")
        if GENERATED.search(path):
            if "tools/" not in text[:600]:
                faults.append(f"{path}: a generated table names its tool in its head")
            continue
        limit = SOURCE_LINES if path.endswith((".c", ".cu", ".cpp")) or BODY.search(path) else HEADER_LINES
        if path.startswith("include/"):
            limit = PUBLIC_HEADER_LINES
        if lines > limit:
            faults.append(f"{path}: {lines} lines, more than {limit}")
        if path.startswith("src/"):
            for name, first, last, _ in functions(text):
                if last - first + 1 > FUNCTION_LINES:
                    faults.append(f"{path}:{first}: {name} has {last - first + 1} lines, more than {FUNCTION_LINES}")
    return faults


def check_names(tree):
    """A name says where one is: no two files of src/, tests/ and tools/ share one. (bench/ programs are named after what they measure.)"""
    common = {"conftest.py", "__init__.py", "CMakeLists.txt", "README.md"}
    places = {}
    for path in tree:
        name = os.path.basename(path)
        if path.startswith(("src/", "tests/", "tools/")) and name.endswith((".c", ".h", ".cu", ".cpp", ".py")) and name not in common:
            places.setdefault(name, []).append(path)
    return [f"{name}: {' and '.join(paths)}" for name, paths in places.items() if len(paths) > 1]


def check_heads(tree):
    """A file begins with what it is for; a header has a guard named after it."""
    faults = []
    guards = Counter()
    for path, text in c_files(tree, "src/").items():
        if not text.startswith(("/*", "//")):
            faults.append(f"{path}: begins without a comment that says what it is for")
        if not path.endswith(".h"):
            continue
        guard = re.search(r"^#ifndef (\w+)\n#define \1\b", text, re.M)
        if guard:
            guards[guard[1]] += 1
        elif not BODY.search(path):
            faults.append(f"{path}: has no include guard")
    return faults + [f"{guard}: guards {count} headers" for guard, count in guards.items() if count > 1]


# Hosts of package and model registries, in halves, so that this file names none.
REGISTRIES = [
    ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("crates", "io"), ("docker", "io"), ("ghcr", "io"),
    ("quay", "io"), ("nvcr", "io"), ("gcr", "io"), ("proxy.golang", "org"), ("rubygems", "org"), ("deb.debian", "org"),
    ("security.debian", "org"), ("conda", "anaconda"), ("repo.maven", "apache"), ("huggingface", "co"), ("hf", "co"),
]  # fmt: skip


def check_registries(tree):
    hosts = re.compile(r"(?<![\w-])(?:[\w-]+\.)*(?:" + "|".join(re.escape(".".join(pair)) for pair in REGISTRIES) + r")(?![\w-])")
    return [
        f"{path}:{line_of(text, found.start())}: names the registry {found[0]}"
        for path, text in tree.items()
        for found in hosts.finditer(text)
    ]


def check_shadows(tree):
    """No script is named as a package that a list of requirements has: its neighbours would import it in the package's place."""
    packages = {
        re.match(r"[\w-]*", line)[0].lower().replace("-", "_"): path
        for path, text in tree.items() if re.search(r"requirements[\w-]*\.txt$", path) for line in text.splitlines()
    }
    return [
        f"{path}: is named as a package of {packages[name]}"
        for path in tree if path.endswith(".py") and (name := os.path.basename(path).removesuffix(".py")) in packages
    ]


def check_design_table(tree):
    """The rooms of docs/DESIGN.md are the rooms of DOORS."""
    rows = set(re.findall(r"^\| `([a-z/]+)/` \|", tree.get("docs/DESIGN.md", ""), re.M))
    rooms = {room for room in DOORS if not room.startswith("server/")}
    return [f"docs/DESIGN.md: no row for {room}/" for room in sorted(rooms - rows)] + [
        f"tests/house/house_rules.py: no doors for {room}/" for room in sorted(rows - rooms)
    ]


def prose_of(text):
    """A document without its code blocks; lines stay."""
    text = re.sub(r"^```.*?^```", lambda found: "\n" * found[0].count("\n"), text, flags=re.M | re.S)
    return re.sub(r"^(?: {4,}|\t).*$", "", text, flags=re.M)


def anchors(text):
    """What links may name behind `#`: the headings, as the forges make it of them."""
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", prose_of(text), re.M)}


def check_links(tree):
    """Relative links of the documents lead to something: a file or folder, and the heading that they name."""
    faults = []
    for path, text in tree.items():
        if not path.endswith(".md"):
            continue
        for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(text)):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            place = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
            there = place in tree or any(other.startswith(place + "/") for other in tree) or (ROOT / place).exists()
            if not there or (anchor and anchor not in anchors(tree.get(place, ""))):
                faults.append(f"{path}: the link to {target} leads nowhere")
    return faults


def check_mentions(tree):
    """A source file that a document names is there. (Names that begin with `_` or a capital stand for many.)"""
    names = {os.path.basename(path) for path in tree}
    return [
        f"{path}: there is no {found[1]}"
        for path, text in tree.items() if path.endswith(".md") and path != "CHANGELOG.md"
        for code in re.findall(r"`[^`\n]+`|^ {4}.*$", text, re.M)
        for found in re.finditer(r"(?<![\w.*-])((?:[\w.-]+/)*([a-z]\w*\.(?:c|h|cu|py|pml|map)))\b(?![.(])", code)
        if not (found[1] in tree or any(other.endswith("/" + found[1]) for other in tree) or ("/" not in found[1] and found[2] in names))
    ]


# A program of ours with arguments: in a code block at the line's begin, or in code.
RUN = re.compile(r"(?:^ {4}(?:\$ )?|`)((?:bench|docker|examples|tests|tools)/[\w./-]+)(?= [^`\n]+`| [^`\n]*$)", re.M)


def check_scripts(tree):
    """What begins with `#!`, and what a document runs by its path, is executable."""
    scripts = {(path, path) for path, text in tree.items() if text.startswith("#!")}
    for path, text in tree.items():
        if path.endswith(".md") and path != "CHANGELOG.md":
            scripts |= {(path, found) for found in RUN.findall(text)}
    return [f"{path}: {script} is not executable" for path, script in sorted(scripts) if not os.access(ROOT / script, os.X_OK)]


FILTERED = re.compile(r"(?:--filter |FILTER=)'([\w*]+)/")


def check_filters(tree):
    """Filters of unit tests in the documents name suites that there are."""
    suites = {found for text in c_files(tree, "tests/").values() for found in re.findall(r"^Test\((\w+),", text, re.M)}
    return [
        f"{path}: no suite is called {found}"
        for path, text in tree.items() if path.endswith(".md")
        for found in FILTERED.findall(text) if not fnmatch.filter(suites, found)
    ]


LISTED = {"SERVER.md": "src/server/", "HTTP.md": "src/server/http/", "SCHEDULE.md": "src/server/schedule/", "PIPELINE.md": "src/pipeline/"}


def check_lists(tree):
    """Pages that list what is in a room name each file of it."""
    return [
        f"docs/{page}: {path} is not listed"
        for page, room in LISTED.items() for path in tree
        if os.path.dirname(path) + "/" == room and path.endswith(".c")
        and not re.search(rf"(?<![\w/]){re.escape(os.path.basename(path))}", tree.get("docs/" + page, ""))
    ]


def check_variables(tree):
    """Variables of the environment that the program asks for beside its options stand in its manual page."""
    page = tree.get("docs/man/querent.1.scd.in", "")
    return [
        f"docs/man/querent.1.scd.in: {found[1]} of {path} is missing"
        for path, text in c_files(tree, "src/").items() if path != "src/base/chaos.c"
        for found in re.finditer(r'\bgetenv\("(?!HOME")(\w+)"\)', text) if f"*{found[1]}*" not in page and f"${found[1]}/" not in page
    ]


STATUS_ROW = re.compile(r'^\s*X\((\w+), (\d+), +"((?:\\.|[^"\\])*)"\)', re.M)


def check_status_docs(tree):
    """docs/ERRORS.md has a row for every status, with its HTTP code and sentence; docs/API.md one for each code that clients get."""
    table = [(name.lower(), code, sentence) for name, code, sentence in STATUS_ROW.findall(tree.get("src/base/status.h", ""))]
    page = tree.get("docs/ERRORS.md", "")
    rows = {found[0]: found for found in re.findall(r"^\| `(\w+)` \| (\d+) \| ([^|]*?) \|", page, re.M)}
    if not table:
        return ["src/base/status.h: no table of statuses found"]
    told = set(re.findall(r"\d+", " ".join(re.findall(r"^\| (\d[\d, ]*) \|", tree.get("docs/API.md", ""), re.M)))) | {"200", "499"}
    return [f"docs/API.md: {code} ({name}) is in no row" for name, code, _ in table if code not in told] + [
        f"docs/ERRORS.md: no row `| `{name}` | {code} | {sentence} |`" for name, code, sentence in table
            if rows.get(name) != (name, code, sentence)] + [
        f"docs/ERRORS.md: there is no status `{name}`" for name in rows if name not in {row[0] for row in table}
    ]
