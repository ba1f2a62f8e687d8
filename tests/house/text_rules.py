"""Rules for what people read: comments and documents. Like house_rules.py: each takes the tree and returns complaints."""

import re

from house_rules import c_files, line_of

COLUMNS = 100

# A comment, or a string or character that may hold what looks like one.
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def comments(text):
    """(line, comment) of each comment of a C file."""
    return [(line_of(text, found.start()), found[0]) for found in TOKEN.finditer(text) if found[0].startswith("/")]


def margins(comment):
    """How far the text of each line is indented behind its `*`, None for an empty one; [] for a comment whose lines have no `*`."""
    lines = comment[: -len("*/")].split("\n")
    if not all(re.match(r"\s*(\*|$)", line) for line in lines[1:]):
        return []
    bare = [re.sub(r"^/\*+" if at == 0 else r"^\s*\*", "", line) for at, line in enumerate(lines)]
    return [len(line) - len(line.lstrip()) if line.strip() else None for line in bare]


def check_comments(tree):
    """Comments keep their shape. A line indented by 4 or more is an example, a formula or a row of a table: the line behind it is
    one too, or empty. Flush text right behind it is what an editor makes of them that fills comments like prose."""
    faults = []
    for path, text in c_files(tree).items():
        lines = text.split("\n")
        for first, comment in comments(text):
            for line in range(first, first + comment.count("\n") + 1):
                if len(lines[line - 1]) > COLUMNS:
                    faults.append(f"{path}:{line}: {len(lines[line - 1])} columns, more than {COLUMNS}")
            indents = margins(comment)
            for at in range(1, len(indents)):
                before, here = indents[at - 1], indents[at]
                if here is None:
                    continue
                if before is not None and before >= 4 and here <= 2:
                    faults.append(f"{path}:{first + at}: text flush behind an indented line; was an example filled like prose?")
                elif here == 2:
                    faults.append(f"{path}:{first + at}: indented by 2; text stands at 1, tables at 3, examples at 5")
    return faults


def check_prose(tree):
    """Prose of the documents is at most 100 columns wide. Code blocks, tables and the targets of links are as wide as they need."""
    faults = []
    for path, text in tree.items():
        if not path.endswith(".md"):
            continue
        fenced = False
        for number, line in enumerate(text.split("\n"), 1):
            fence = line.startswith("```")
            fenced ^= fence
            if fence or fenced or re.match(r"    |\t|\||<!--", line):
                continue
            width = len(re.sub(r"\]\([^)]*\)", "]", line))
            if width > COLUMNS:
                faults.append(f"{path}:{number}: {width} columns of prose, more than {COLUMNS}")
    return faults
