"""Rules for what headers declare: names and contracts. Like house_rules.py: each takes the tree and returns complaints."""

import os
import re

from house_rules import BODY, DOORS, c_files, code_only, includes, line_of, room_of
from text_rules import comments, margins

# ---- Declarations ---------------------------------------------------------------------------------------------------

# At column 0, in text without comments, macros and attributes: a name and its parameters, then `;` or a body.
DECLARATION = re.compile(r"^(?!typedef|extern|enum|union|_Static_assert)[A-Za-z_][^;{}=]*?\b(\w+)\s*\([^;{}]*\)\s*[;{]", re.M)
ATTRIBUTE = re.compile(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)")


def blank_macros(text):
    """Macros' lines become empty; line numbers stay."""
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda found: "\n" * found[0].count("\n"), text, flags=re.M)


def declarations(text):
    """(line, name, is static) of each function that a header declares or defines in line."""
    bare = blank_macros(ATTRIBUTE.sub(lambda found: "\n" * found[0].count("\n"), code_only(text)))
    return [(line_of(bare, found.start()), found[1], found[0].startswith("static ")) for found in DECLARATION.finditer(bare)]


def public_headers(tree):
    """What other rooms may include: the doors, a room's ROOM.h, and the parts of its own room that ROOM.h includes."""
    found = {path for path in tree if path.endswith(".h") and os.path.basename(path) == os.path.basename(room_of(path) or "") + ".h"}
    more = set(found)
    while more:
        path = more.pop()
        parts = {"src/" + header for _, header, _ in includes(tree[path]) if header} & tree.keys()
        parts = {part for part in parts if room_of(part) == room_of(path)} - found
        found |= parts
        more |= parts
    return found | {"src/" + door for headers in DOORS.values() for door in headers}


def shared_folders():
    """Folders of which every header is open to other rooms ("server/*.h")."""
    return {"src/" + door[: -len("/*.h")] for headers in DOORS.values() for door in headers if door.endswith("/*.h")}


def check_prefixes(tree):
    """What a public header declares is called qr_, what a private one declares qr__. A public header may also declare qr__ names
    that its own macros need. Static functions of bodies that are included for their code have bare names."""
    faults, public = [], public_headers(tree)
    for path, text in c_files(tree, "src/").items():
        if not path.endswith(".h") or BODY.search(path):
            continue
        macros = "".join(re.findall(r"^[ \t]*#[ \t]*define(?:[^\n]*\\\n)*[^\n]*", text, re.M))
        for line, name, static in declarations(text):
            hidden = name.startswith("qr__")
            if path in public:
                if not name.startswith("qr_") or (hidden and not re.search(rf"\b{name}\b", macros)):
                    faults.append(f"{path}:{line}: {name} stands in a public header: qr_ and its object")
            elif os.path.dirname(path) not in shared_folders() and not hidden and not (static and not name.startswith("qr_")):
                faults.append(f"{path}:{line}: {name} stands in a header of the room's own: qr__ and its object")
    return faults


# Alternatives of which a file is compiled with one.
ALTERNATIVES = re.compile(r"(/vec(?:_ints)?)_(?:avx2|avx512f|neon)\.h$")


def check_types(tree):
    """A type's name stands for one type in the whole tree. (Types of a single .c file have no prefix and may repeat.)"""
    places = {}
    for path, text in c_files(tree, "src/").items():
        bare = code_only(text)
        found = {("body of", name) for name in re.findall(r"\b(?:struct|union|enum) (qr_\w+) \{", bare)}
        if path.endswith(".h"):
            for form in (r"\} (qr_\w+);", r"^typedef [^{}();]*?\b(qr_\w+);", r"^typedef [^;{}]*\(\*(qr_\w+)\)"):
                found |= {("typedef", name) for name in re.findall(form, bare, re.M)}
        for key in found:
            places.setdefault(key, set()).add(ALTERNATIVES.sub(r"\1.h", path))
    return [
        f"{min(paths)}: a second {what} {name}, which is a type of {', '.join(sorted(paths)[1:])} too"
        for (what, name), paths in sorted(places.items())
        if len(paths) > 1
    ]


# ---- Contracts ------------------------------------------------------------------------------------------------------

# Arithmetic on vectors, each called what it does on every instruction set.
VECTORS = re.compile(r"/vec_\w+\.h$")


def check_contracts(tree):
    """Every function that a header declares has its contract, a comment, right above it. (Not so the static functions of bodies that
    are included for their code, and vectors' operations.)"""
    faults = []
    for path, text in c_files(tree, "src/", "include/").items():
        if not path.endswith(".h") or BODY.search(path) or VECTORS.search(path):
            continue
        lines = text.split("\n")
        above = {line + comment.count("\n") + 1 for line, comment in comments(text) if lines[line - 1].startswith("/*")}
        faults += [f"{path}:{line}: {name} has no contract" for line, name, _ in declarations(text) if line not in above]
    return faults


# ---- Examples -------------------------------------------------------------------------------------------------------

CALL = re.compile(r"\b(qr_\w+|QR_\w+)\((?!\*)")
MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)\(", re.M)


def arguments(text, at):
    """How many stand between the parenthesis at `at` and the one that closes it; None: any number, or none closes it."""
    depth, commas = 0, 0
    for end in range(at, len(text)):
        depth += (text[end] in "([{") - (text[end] in ")]}")
        commas += text[end] == "," and depth == 1
        if depth == 0:
            inside = text[at + 1 : end].strip()
            return None if "..." in inside else 0 if inside in ("", "void") else commas + 1
    return None


def signatures(tree):
    """How many arguments the functions and macros of the tree take, {name: {count}}; None: any number."""
    found = {}
    for text in c_files(tree).values():
        bare = code_only(text)
        functions = blank_macros(ATTRIBUTE.sub("", bare))
        for pattern, code in ((DECLARATION, functions), (MACRO, bare)):
            for one in pattern.finditer(code):
                found.setdefault(one[1], set()).add(arguments(code, code.index("(", one.end(1))))
    return found


def examples(comment):
    """A comment's indented lines; the others are empty."""
    indents = margins(comment)
    lines = comment.split("\n")[: len(indents)]
    return code_only("\n".join(line.lstrip(" *") if (indent or 0) >= 4 else "" for line, indent in zip(lines, indents)))


def check_examples(tree):
    """What an example in a comment calls is there, and takes as many arguments."""
    faults, known = [], signatures(tree)
    for path, text in c_files(tree).items():
        for first, comment in comments(text):
            code = examples(comment)
            for found in CALL.finditer(code):
                given = arguments(code, found.end() - 1)
                takes = known.get(found[1], ())
                if given not in takes and None not in (given, *takes):
                    wanted = " or ".join(map(str, sorted(takes)))
                    faults.append(f"{path}:{first + line_of(code, found.start()) - 1}: {found[1]} is called with {given} arguments; it "
                                  + (f"takes {wanted}" if takes else "is not there"))
    return faults


# ---- The library ----------------------------------------------------------------------------------------------------

EXPORTED = re.compile(r"^QR_LIB_(?:MUST_USE QR_LIB_)?API\b[^;(]*?\b(\w+)\(", re.M)


def check_library(tree):
    """What include/querent.h declares is qr_lib_, is exported by library/querent.map, and stands in the manual page; nothing else
    is exported. No header of ours declares a qr_lib_ name: that is what keeps both apart."""
    header = code_only(tree.get("include/querent.h", ""))
    names = set(EXPORTED.findall(header))
    nodes = re.sub(r"#.*", "", tree.get("src/library/querent.map", ""))
    exported = set(re.findall(r"^\s*(\w+);", nodes, re.M))
    page = tree.get("docs/man/querent.h.3.scd", "")
    faults = [f"include/querent.h: {name} is not qr_lib_" for name in sorted(names) if not name.startswith("qr_lib_")]
    faults += [f"src/library/querent.map: {name} is not exported" for name in sorted(names - exported)]
    faults += [f"src/library/querent.map: {name} is not in include/querent.h" for name in sorted(exported - names)]
    faults += [f"docs/man/querent.h.3.scd: {name} is missing" for name in sorted(names) if name not in page]
    for path, text in c_files(tree, "src/").items():
        if path.endswith(".h"):
            faults += [f"{path}:{line}: {name} is the library's" for line, name, _ in declarations(text) if name.startswith("qr_lib_")]
    return faults
