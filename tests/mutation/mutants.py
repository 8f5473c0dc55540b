# SPDX-License-Identifier: BSD-2-Clause
"""mutants.py - the small changes that can be made to one C file, as a list

Works on tokens, not on a syntax tree: what it needs to know of C (is this minus
binary, where does this statement end) the neighbouring tokens tell. A change that
is not C is thrown away by the compiler, and so is one that makes no difference.

Two sorts. Token-wise: one operator, constant or statement is another. Semantic
(SEMANTIC): what a person forgets or mixes up, with tokens that are all right.

Never touched: comments, strings, includes, assertions (they only watch), and what
__builtin_expect() expects.
"""
import re
from dataclasses import dataclass
from itertools import zip_longest
from random import Random

TOKEN = re.compile(r"""
    (?P<comment>/\*.*?\*/|//[^\n]*)
  | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
  | (?P<include>^[ \t]*\#[ \t]*(?!define)\w+(?:\\\n|[^\n])*)
  | (?P<define>^[ \t]*\#[ \t]*define[ \t]+\w+(?:\([^)]*\))?)
  | (?P<number>\d(?:[eEpP][+-]|[\w.])*)
  | (?P<word>[A-Za-z_]\w*)
  | (?P<op><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[-+*/%&|^~!<>=?:;,.(){}\[\]\\])
""", re.X | re.M | re.S)

KEYWORDS = set("if else while for do switch case default return break continue goto sizeof "
               "struct union enum static const inline void int char short long unsigned signed "
               "bool double float extern typedef".split())
WATCHERS = re.compile(r"zcreq_assert|zcreq_bug\w*|_Static_assert|__attribute__")

COMPARISONS = {"<": ("<=", ">="), ">": (">=", "<="), "<=": ("<", ">"), ">=": (">", "<"),
               "==": ("!=",), "!=": ("==",)}
ARITHMETIC = {"+": ("-",), "-": ("+",), "*": ("/",), "/": ("*",), "%": ("/",), "<<": (">>",),
              ">>": ("<<",), "&": ("|",), "|": ("&",), "^": ("&",)}
ASSIGNMENTS = {"+=": ("-=", "="), "-=": ("+=", "="), "|=": ("&=", "="), "&=": ("|=", "="),
               "*=": ("/=",), "/=": ("*=",), "^=": ("=",), "++": ("--",), "--": ("++",)}
LOGIC = {"&&": ("||",), "||": ("&&",)}
SEMANTIC = ("counter", "only first", "no loop", "forget", "never", "always", "sibling")
ERRORS = {"EINVAL": "EIO", "EAGAIN": "EIO", "EINTR": "EIO", "ENOBUFS": "EIO", "ESTALE": "EBUSY"}


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    start: int

    @property
    def end(self):
        return self.start + len(self.text)


@dataclass(frozen=True)
class Mutant:
    file: str
    line: int
    column: int
    kind: str
    start: int
    end: int
    old: str
    new: str

    @property
    def name(self):
        def short(text):
            return " ".join(text.split()) or "nothing"
        return f"{self.file}:{self.line}:{self.column} {self.kind}: {short(self.old)} -> {short(self.new)}"

    def apply(self, text):
        """The file's text with this change; every line keeps its number."""
        return text[:self.start] + self.new + "\n" * self.old.count("\n") + text[self.end:]


def tokens_of(text):
    found = [Token(m.lastgroup, m.group(), m.start()) for m in TOKEN.finditer(text)]
    return [t for t in found if t.kind not in ("comment", "include") and t.text != "\\"]


def enumerators_of(text):
    """Each enumerator with the one that follows it in its enum."""
    after = {}
    for body in re.findall(r"\benum\s*\w*\s*\{(.*?)\}", re.sub(r"/\*.*?\*/", "", text, flags=re.S), re.S):
        names = re.findall(r"(?:^|,)\s*([A-Z]\w+)", body)
        after.update(zip(names, names[1:] + names[:1]))
    return {name: next for name, next in after.items() if name != next}


def siblings_of(text):
    """Each member of a struct with the next one of the same type in it, as deadline and alarm."""
    after = {}
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    for body in re.findall(r"\bstruct\s+\w+\s*\{([^{}]*)\}", text):
        of_type = {}
        for type_, names in re.findall(r"([\w ]+?[ *])\s*(\w+(?:\s*,\s*\w+)*)\s*;", body):
            of_type.setdefault(" ".join(type_.split()), []).extend(re.findall(r"\w+", names))
        for names in of_type.values():
            for name, next in zip(names, names[1:] + names[:1]):
                if name != next:
                    after.setdefault(name, next)
    return after


class File:
    """One file's tokens, with what is known of each place."""

    def __init__(self, name, text, enumerators, siblings):
        self.name, self.text, self.enumerators, self.siblings = name, text, enumerators, siblings
        self.tokens = tokens_of(text)
        self.match = self.brackets()
        self.place = self.places()
        self.found = []

    def brackets(self):
        match, open_at = {}, []
        for i, token in enumerate(self.tokens):
            if token.text in "([{" and token.kind == "op":
                open_at.append(i)
            elif token.text in ")]}" and token.kind == "op" and open_at:
                match[open_at[-1]] = i
                match[i] = open_at.pop()
        return match

    def places(self):
        """Of each token: in a function's body, an initialiser, elsewhere, or not to be touched."""
        place = ["outside"] * len(self.tokens)
        i = 0
        while i < len(self.tokens):
            token = self.tokens[i]
            if token.text == "{" and i in self.match:
                before = self.tokens[i - 1].text
                kind = "body" if before == ")" else "table" if before == "=" else "type"
                place[i:self.match[i] + 1] = [kind] * (self.match[i] + 1 - i)
                i = self.match[i]
            i += 1
        for i, token in enumerate(self.tokens):
            called = self.text_at(i + 1) == "(" and i + 1 in self.match
            if called and WATCHERS.fullmatch(token.text):
                place[i:self.match[i + 1] + 1] = ["kept"] * (self.match[i + 1] + 1 - i)
            elif called and token.text == "__builtin_expect":
                end = self.match[i + 1]
                place[end - 2:end] = ["kept"] * 2
                place[i] = "kept"
            elif token.kind == "define" and WATCHERS.search(token.text):
                line_end = re.compile(r"(?<!\\)\n").search(self.text, token.start).start()
                for j in range(i, len(self.tokens)):
                    if self.tokens[j].start < line_end:
                        place[j] = "kept"
        return place

    def text_at(self, i):
        return self.tokens[i].text if 0 <= i < len(self.tokens) else ""

    def add(self, kind, start, end, new):
        line = self.text.count("\n", 0, start) + 1
        column = start - self.text.rfind("\n", 0, start)
        self.found.append(Mutant(self.name, line, column, kind, start, end, self.text[start:end], new))

    def swap(self, kind, token, choices):
        for new in choices:
            self.add(kind, token.start, token.end, new)

    def is_value(self, i):
        """Can what is at i be the left side of an operator?"""
        token = self.tokens[i] if i >= 0 else None
        return token is not None and (token.kind == "number" or token.text in (")", "]") or
                                      token.kind == "word" and token.text not in KEYWORDS)

    def operators(self, i, token):
        text = token.text
        if text in COMPARISONS:
            self.swap("comparison", token, COMPARISONS[text])
        elif text in LOGIC:
            self.swap("logic", token, LOGIC[text])
        elif text in ASSIGNMENTS:
            self.swap("assignment", token, ASSIGNMENTS[text])
        elif text in ARITHMETIC and self.is_value(i - 1):
            declares = text == "*" and (self.text_at(i - 2) in ("struct", "union", "enum") or
                                        self.text_at(i - 1).endswith("_t"))
            if not declares:
                self.swap("arithmetic", token, ARITHMETIC[text])
        elif text == "-" and self.tokens[i + 1].kind == "word":
            self.swap("sign", token, ("",))
        elif text in ("!", "~"):
            self.swap("negation", token, ("",))

    def begins_enum(self, i):
        """Is it the only value that an enum names? Then any other would do."""
        body = re.search(r"\{([^{}]*)$", self.text[:self.tokens[i].start])
        rest = re.match(r"[^{}]*", self.text[self.tokens[i].end:])
        return self.place[i] == "type" and (body[1] + rest[0]).count("=") == 1

    def constants(self, i, token):
        if self.text_at(i - 1) == "=" and self.begins_enum(i):
            return
        if token.kind == "number":
            digits = re.fullmatch(r"(\d+)([uU]?[lL]*)", token.text)
            if digits:
                value = int(digits[1])
                near = (1,) if value == 0 else (0, 2) if value == 1 else (value - 1, value + 1)
                self.swap("constant", token, [f"{n}{digits[2]}" for n in near])
        elif token.text in ("true", "false"):
            self.swap("constant", token, ("false" if token.text == "true" else "true",))
        elif token.text in self.enumerators and self.text_at(i - 1) != "[":
            self.swap("constant", token, (self.enumerators[token.text],))
        elif token.text in ("ZCREQ_NEVER", "UINT32_MAX", "UINT64_MAX"):
            self.swap("constant", token, ("0",))
        elif token.text in ERRORS:
            self.swap("constant", token, (ERRORS[token.text],))

    def conditions(self, i, token):
        if token.text in ("if", "while") and i + 1 in self.match:
            start, end = self.tokens[i + 1], self.tokens[self.match[i + 1]]
            inner = self.text[start.end:end.start]
            if inner not in ("0", "1"):
                self.add("condition", start.end, end.start, f"!({inner})")

    def statement_end(self, i):
        """Where the statement that begins at i ends, or None if it is not a simple one."""
        while i < len(self.tokens) and self.text_at(i) != ";":
            if self.text_at(i) in ("{", "}"):
                return None
            i = self.match[i] + 1 if self.text_at(i) in ("(", "[") and i in self.match else i + 1
        return i

    def begins_statement(self, i):
        before = self.text_at(i - 1)
        if before in (";", "{", "}", "else"):
            return not self.in_parentheses(i)
        if before == ")" and i - 1 in self.match:
            return self.text_at(self.match[i - 1] - 1) in ("if", "while", "for")
        return False

    def in_parentheses(self, i):
        while i >= 0 and self.text_at(i) not in ("{",):
            if self.text_at(i) == "(" and self.match.get(i, 0) > i:
                return True
            i = self.match[i] - 1 if self.text_at(i) in (")", "]", "}") and i in self.match else i - 1
        return False

    def statements(self, i, token):
        if not self.begins_statement(i):
            return
        after = self.tokens[i + 1] if i + 1 < len(self.tokens) else None
        simple = token.text in ("++", "--", "*", "(") or token.text in ("break", "continue", "return")
        if token.kind == "word" and token.text not in KEYWORDS and after:
            simple = after.kind == "op" and after.text not in ("*", ":")
        end = self.statement_end(i) if simple else None
        if end is None:
            return
        last = token.text == "return" and self.text_at(end + 1) == "}" and \
            self.place_of_brace(end + 1) == "function"
        if not last:
            self.add("statement", token.start, self.tokens[end].start, "")
        if token.text == "return" and end > i + 1 and self.text_at(i + 1) != "0":
            self.add("return", self.tokens[i + 1].start, self.tokens[end].start, "0")

    def place_of_brace(self, i):
        open_at = self.match.get(i, 0)
        depth = sum(1 if t.text == "{" else -1 for t in self.tokens[:open_at] if t.text in ("{", "}"))
        return "function" if depth == 0 else "block"

    def split_arguments(self, open_at):
        spans, start, i = [], open_at + 1, open_at + 1
        while i < self.match[open_at]:
            if self.text_at(i) == ",":
                spans.append((start, i - 1))
                start = i + 1
            i = self.match[i] + 1 if i in self.match else i + 1
        spans.append((start, self.match[open_at] - 1))
        return [(self.tokens[a].start, self.tokens[b].end) for a, b in spans if b >= a]

    def calls(self, i, token):
        if token.kind != "word" or token.text in KEYWORDS or token.text == "__builtin_expect":
            return
        if self.text_at(i + 1) != "(" or i + 1 not in self.match:
            return
        spans = self.split_arguments(i + 1)
        for (a, b), (c, d) in zip(spans, spans[1:]):
            first, second = self.text[a:b], self.text[c:d]
            if first != second:
                self.add("arguments", a, d, second + self.text[b:c] + first)

    def cells(self, i, token):
        """[X] = value, or .x = value, of a table: taken out."""
        if self.text_at(i - 1) not in ("{", ","):
            return
        if token.text == "[" and i in self.match:
            equals = self.match[i] + 1
        elif token.text == "." and self.text_at(i - 1) != ")":
            equals = i + 2
        else:
            return
        if self.text_at(equals) != "=" or self.text_at(equals + 1) == "{":
            return
        end = equals + 1
        while self.text_at(end) not in (",", "}"):
            end = self.match[end] + 1 if end in self.match and self.match[end] > end else end + 1
        comma = self.text_at(end) == ","
        self.add("cell", token.start, self.tokens[end].end if comma else self.tokens[end].start, "")

    # ---- semantic ----

    def span(self, i, j):
        """The text of tokens i to j, on one line."""
        return " ".join(self.text[self.tokens[i].start:self.tokens[j].end].split())

    def counters(self, i, token):
        """x++ and x += n: only while x is 0, as when one of two paths forgets to count."""
        if token.text not in ("++", "+=") or self.text_at(i - 1) in (")", "]") or \
                self.tokens[i - 1].kind != "word":
            return
        first = i - 1
        while self.text_at(first - 1) in ("->", "."):
            first -= 2
        end = self.statement_end(i)
        if first < 1 or end is None or not self.begins_statement(first) or \
                "->" not in self.span(first, i):
            return
        self.add("counter", self.tokens[first].start, self.tokens[first].start,
                 f"if (!{self.span(first, i - 1)}) ")

    def loops(self, i, token):
        """A loop that is left after its first round, or never entered: the first of a list, or
        none, of two lists the other."""
        called = token.text in ("for", "while") or token.text.endswith("Q_FOREACH")
        if not called or i + 1 not in self.match:
            return
        close = self.match[i + 1]
        if token.text == "while" and self.text_at(close + 1) == ";":  # of do
            inner = self.span(i + 2, close - 1)
            self.add("only first", self.tokens[i + 2].start, self.tokens[close - 1].end, f"0 && ({inner})")
            return
        if self.text_at(close + 1) == "{":
            end = self.match[close + 1]
            self.add("only first", self.tokens[end].start, self.tokens[end].start, "break; ")
        else:
            end = self.statement_end(close + 1)
            if end is not None and self.text_at(close + 1) not in KEYWORDS:
                body = self.span(close + 1, end)
                self.add("only first", self.tokens[close + 1].start, self.tokens[end].end,
                         "{ " + body + " break; }")
        self.add("no loop", token.start, token.start, "if (0) ")

    def branches(self, i, token):
        """A branch that is never taken, or always."""
        if token.text != "if" or i + 1 not in self.match:
            return
        start, end = self.tokens[i + 1].end, self.tokens[self.match[i + 1]].start
        inner = " ".join(self.text[start:end].split())
        if inner not in ("0", "1"):
            self.add("never", start, end, f"0 && ({inner})")
            self.add("always", start, end, f"1 || ({inner})")

    def forgotten(self, i, token):
        """One of the two sides of && and ||, and of two flags."""
        if token.text not in ("&&", "||") and not (token.text == "|" and self.is_value(i - 1)):
            return
        ends = ("(", "[", "{", ")", "]", "}", ";", ",", "?", ":", "=", "return", "&&", "||")
        left, right = i - 1, i + 1
        while self.text_at(left) not in ends or self.text_at(left) in (")", "]"):
            left = self.match[left] - 1 if self.text_at(left) in (")", "]") else left - 1
        while self.text_at(right) not in ends or self.text_at(right) in ("(", "["):
            right = self.match[right] + 1 if self.text_at(right) in ("(", "[") else right + 1
        if self.text_at(left) != "=" or left + 1 < i - 1:
            self.add("forget", self.tokens[left + 1].start, self.tokens[i].end, "")
        self.add("forget", self.tokens[i].start, self.tokens[right - 1].end, "")

    def members(self, i, token):
        """A member that is taken for its neighbour of the same type."""
        if self.text_at(i - 1) in ("->", ".") and self.text_at(i + 1) != "(" and \
                token.text in self.siblings:
            self.swap("sibling", token, (self.siblings[token.text],))

    def semantic(self, i, token):
        self.counters(i, token)
        self.loops(i, token)
        self.branches(i, token)
        self.forgotten(i, token)
        self.members(i, token)

    def mutants(self):
        for i, token in enumerate(self.tokens):
            place = self.place[i]
            if place == "kept" or token.kind in ("string", "define"):
                continue
            self.constants(i, token)
            self.operators(i, token)
            self.cells(i, token)
            if place == "body":
                self.conditions(i, token)
                self.statements(i, token)
                self.calls(i, token)
                self.semantic(i, token)
        return self.found


def mutants_of(name, text, enumerators, siblings, seed, only=None):
    """All of a file's, in the order in which to try them: by chance, each kind in turn."""
    kinds = {}
    for mutant in File(name, text, enumerators, siblings).mutants():
        if only and mutant.kind not in only:
            continue
        kinds.setdefault(mutant.kind, []).append(mutant)
    for kind, list_ in sorted(kinds.items()):
        Random(f"{seed} {name} {kind}").shuffle(list_)
    rounds = zip_longest(*(list_ for _, list_ in sorted(kinds.items())))
    return [mutant for turn in rounds for mutant in turn if mutant]
