#!/usr/bin/env python3
"""Writes COUNT requests for oracle.go, one a line, made from SEED: templates that use the whole language, most of
them valid, some broken on purpose.

usage: generate.py COUNT SEED [--new]

--new: also what Go 1.19 lacks or does otherwise (variables assigned by range, else with, range over numbers)
"""
import base64, json, random, sys

count, seed = int(sys.argv[1]), int(sys.argv[2])
new = "--new" in sys.argv
r = random.Random(seed)
pick = r.choice

STRINGS = ["", "a", "node1", "héllo 世界", "x\ty\n", "<a href=\"q\">'&'</a>", "a=b&c d/é?#%", "  pad ", "\u00a0\u200b\u2028",
           "😀\U000e0001", "back\\slash `tick`", "\x00\x01\x7f", "10", "-3", "TRUE", "a-very-long-string-" * 3]
NUMBERS = [0, 1, -1, 2, 3, 7, 42, 8080, 99999, 100000, 999999, 1000000, 1234567, 1e20, 1e21, 1e22, 123456789.125, 0.5, -0.0,
           0.1, 1 / 3, 1e-4, 1e-5, 1.5e-7, 1.7976931348623157e308, 5e-324, 12345678901234567890, -2.5, 3.14159, 100.0, 64]


def data_value(depth=0):
    k = r.random()
    if k < 0.3 or depth > 2:
        return pick(STRINGS)
    if k < 0.55:
        return pick(NUMBERS)
    if k < 0.65:
        return pick([True, False])
    if k < 0.72:
        return None
    if k < 0.86:
        return [data_value(depth + 1) for _ in range(r.randrange(0, 6))]
    return {pick(KEYS + ["k-1", "", "é"]): data_value(depth + 1) for _ in range(r.randrange(0, 5))}


KEYS = ["s", "n", "b", "nul", "l", "m", "deep", "A", "x1", "été"]


def data():
    d = {"s": pick(STRINGS), "n": pick(NUMBERS), "b": r.random() < 0.5, "nul": None,
         "l": [data_value(1) for _ in range(r.randrange(0, 6))],
         "m": {k: data_value(1) for k in r.sample(KEYS, r.randrange(0, 5))}, "deep": {"a": {"b": {"c": data_value()}}}}
    for k in r.sample(KEYS, 3):
        if r.random() < 0.3:
            d[k] = data_value()
    return d


class Gen:
    def __init__(self):
        self.gentle = r.random() < 0.75  # mostly calls that can work
        self.vars = ["$"]
        self.loops = 0
        self.defined = []

    def number(self):
        return pick(["0", "1", "2", "3", "-1", "+5", "42", "0x1F", "-0xE", "0xE", "017", "0o17", "0b101", "1_000", "1.5", "-2.5", ".5", "1.", "1e3",
                     "1e-7", "0x1p4", "0x1.8p-1", "'a'", "'\\n'", "'世'", "'\\x41'", "'\\''", "1+2i", "-1.5-0.25i", "2i", "9223372036854775807",
                     "-9223372036854775808", "0.1", "100000000.0", "1_0.2_5", "0x_F"]
                    + (["089", "1__0", "0x", "9223372036854775808", "1e400", "1.2.3", "'ab'", "08.5", "1e", "0x1.8", "0b2"] if r.random() < 0.05 else []))

    def string(self):
        return pick(['""', '"a"', '"s"', '"k-1"', '"%d"', '"\\t\\x41\\u00e9\\101"', "`raw\\n`", '"héllo"', '"\\xff"', '"a\\\\b"', "`multi\nline`", '"\\""', '"node1"', "`a\r\nb`"]
                    + (['"\\q"', '"\\x"', '"\\u12"', '"\\400"', "\"\\'\"", '"\\ud800"'] if r.random() < 0.03 else []))

    def field(self):
        if self.gentle:
            return pick(["$.s", "$.n", "$.b", "$.l", "$.m", "$.deep.a.b.c", "$.nul", "$.request.query.q", "$.deep"])
        f = "." + pick(KEYS)
        while r.random() < 0.3:
            f += "." + pick(KEYS + ["a", "b", "c"])
        if r.random() < 0.08:
            f = ".deep.a.b.c"
        if r.random() < 0.05:
            f = ".request.query." + pick(["q", "absent"])
        return f

    def var(self):
        v = pick(self.vars)
        while not self.gentle and r.random() < 0.25:
            v += "." + pick(KEYS)
        return v

    def likely(self, depth):
        a = lambda: self.operand(depth + 1)
        text = lambda: pick(["$.s", self.string(), "(print " + a() + ")", "$.request.query.q"])
        whole = lambda: pick(["1", "2", "0", "-3", "(len $.l)", "(len $.m)", "'a'", "0x10", "42", "(index \"abc\" 1)"])
        real = lambda: pick(["$.n", "1.5", "1e6", "-0.25", "100.0", ".5e-7"])
        k = r.randrange(12)
        if k < 3:
            return "printf " + self.fmt() + "".join(" " + pick([text, whole, real, a])() for _ in range(r.randrange(1, 4)))
        if k < 5:
            return pick(["print", "println", "html", "js", "urlquery"]) + "".join(" " + a() for _ in range(r.randrange(1, 4)))
        if k < 6:
            return "index " + pick(['$.m "s"', '$.m "k-1"', "$.request.query " + text(), "$.l 0", '"héllo" ' + pick("0123"), '$ "deep" "a" "b"', '$ "absent"'])
        if k < 7:
            return "slice " + pick(["$.l " + pick(["", "0", "1", "0 1", "1 2", "0 4", "0 1 2"]), '"héllo" ' + pick(["", "1", "2 3", "0 5"])])
        if k < 8:
            return "len " + pick(["$.l", "$.m", "$.s", self.string(), "$.request.query", "$"])
        if k < 9:
            return pick(["and ", "or "]) + " ".join(a() for _ in range(r.randrange(1, 4)))
        kind = pick([text, whole, real])
        return pick(["eq", "ne", "lt", "le", "gt", "ge"]) + " " + kind() + " " + kind()

    def verb(self):
        f = "%" + "".join(pick(["", "", "", "#", "0", "+", "-", " "]) for _ in range(r.randrange(0, 4)))
        f += pick(["", "", "", "", "5", "12", "1", "30", "*", "[1]", "[2]*", "[3]", "[1]5", "0", "[x]", "[0]", "[9]"])
        f += pick(["", "", "", "", ".2", ".0", ".", ".10", ".*", ".[1]*", ".25", ".1"])
        f += pick(["", "", "", "", "", "[1]", "[2]"])
        return f + pick(list("vvvvdsqxXtTfFeEgGcUobOw") + ["%", "z", "é", "b", "", "!"])

    def fmt(self):
        parts = []
        for _ in range(r.randrange(1, 4)):
            parts.append(pick(["", "a", " ", "|", "é"]) + self.verb())
        text = "".join(parts) + pick(["", "", "%", "x"])
        return json.dumps(text, ensure_ascii=False)

    def call(self, depth):
        a = lambda: self.operand(depth + 1)
        if self.gentle and r.random() < 0.95:
            return self.likely(depth)
        k = r.randrange(24)
        if k < 4:
            return "printf " + self.fmt() + "".join(" " + a() for _ in range(r.randrange(0, 4)))
        if k < 7:
            return pick(["print", "println", "html", "js", "urlquery"]) + "".join(" " + a() for _ in range(r.randrange(0, 4)))
        if k < 10:
            return "index " + a() + "".join(" " + pick([self.string, self.number, a])() for _ in range(r.randrange(0, 3)))
        if k < 12:
            return "slice " + a() + "".join(" " + pick(["0", "1", "2", "3", "4", "5", a()]) for _ in range(r.randrange(0, 4)))
        if k < 14:
            return "len " + a()
        if k < 16:
            return pick(["and", "or"]) + "".join(" " + a() for _ in range(r.randrange(0 if r.random() < 0.1 else 1, 4)))
        if k < 17:
            return "not " + a()
        if k < 21:
            return pick(["eq", "ne", "lt", "le", "gt", "ge", "eq"]) + " " + a() + " " + a() + (" " + a() if r.random() < 0.15 else "")
        if k < 22:
            return "index .m " + self.string()
        if k < 23:
            return "slice .l " + " ".join(pick(["0", "1", "2"]) for _ in range(r.randrange(0, 3)))
        return pick(["call .s", "upper .s", "printf", "len", "index", "not", "eq", "slice", "call nil"]) if r.random() < 0.4 else "print .s"

    def operand(self, depth=0):
        k = r.random()
        if k < 0.32:
            return self.field()
        if k < 0.44:
            return self.number()
        if k < 0.56:
            return self.string()
        if k < 0.66:
            return self.var()
        if k < 0.71:
            return pick(["true", "false"])
        if k < 0.74:
            return "nil"
        if k < 0.79:
            return "."
        if depth > 3:
            return ".s"
        p = "(" + self.pipeline(depth + 1) + ")"
        while not self.gentle and r.random() < 0.25:
            p += "." + pick(KEYS)
        return p

    def command(self, depth, first):
        k = r.random()
        if not first and self.gentle:
            return pick(["print", "html", "js", "urlquery", "printf \"%v|%5v\" 1", "println 1 2", "not", "eq 1.5 | print", "or false", "and 1"])
        if k < 0.55 or (not first and k < 0.93):
            return self.call(depth)
        if k < 0.97:
            return self.operand(depth)
        if self.gentle:
            return self.likely(depth)
        return self.operand(depth) + " " + self.operand(depth)

    def pipeline(self, depth=0):
        p = self.command(depth, True)
        while r.random() < (0.1 if self.gentle else 0.25):
            p += pick([" | ", "|", " |  "]) + self.command(depth, False)
        if depth and r.random() < 0.03:
            v = "$p%d" % r.randrange(3)
            p = v + " := " + p
            self.vars.append(v)
        return p

    def left(self):
        return pick(["{{", "{{", "{{ ", "{{- ", "{{-\n", "{{\t"])

    def right(self):
        return pick(["}}", "}}", " }}", " -}}", "\n-}}"])

    def act(self, s):
        return self.left() + s + self.right()

    def text(self):
        return pick(["", " ", "\n", "text ", "  x\n", "é", "\r\n", "{ }", "a\n\n  "])

    def block(self, depth):
        mark = len(self.vars)
        out = "".join(self.item(depth) for _ in range(r.randrange(0, 4)))
        del self.vars[mark:]
        return out

    def item(self, depth=0):
        k = r.random()
        if k < 0.25 or depth > 3:
            return self.text()
        if k < 0.5:
            return self.act(self.pipeline())
        mark = len(self.vars)
        try:
            if k < 0.57:
                v = "$" + pick(["a", "b", "c", "v1", "é"])
                out = self.act(v + pick([" := ", ":=", " :="]) + self.pipeline())
                self.vars.append(v)
                mark += 1
                return out
            if k < 0.61:
                v = pick(self.vars + ["$undeclared"] if r.random() < 0.1 else self.vars)
                return self.act(v + " = " + self.pipeline())
            if k < 0.74:
                decl = ""
                if r.random() < 0.2:
                    decl = "$i := "
                cond = self.pipeline()
                if decl:
                    self.vars.append("$i")
                out = self.act("if " + decl + cond) + self.block(depth + 1)
                while r.random() < 0.2:
                    out += self.act("else if " + self.pipeline()) + self.block(depth + 1)
                if r.random() < 0.4:
                    out += self.act("else") + self.block(depth + 1)
                return out + self.act("end")
            if k < 0.82:
                decl = ""
                cond = self.pipeline()
                if r.random() < 0.3:
                    decl = "$w := "
                    self.vars.append("$w")
                out = self.act("with " + decl + cond) + self.block(depth + 1)
                if new and r.random() < 0.3:
                    out += self.act("else with " + self.pipeline()) + self.block(depth + 1)
                if r.random() < 0.4:
                    out += self.act("else") + self.block(depth + 1)
                return out + self.act("end")
            if k < 0.93:
                over = pick(["$.l", "$.m", "$.request.query", "$", "$.deep", "(slice $.l 0)", "$.nul"] if self.gentle else [".l", ".m", ".", ".nul", "(slice .l 0)", ".request.query", self.pipeline(), ".deep", ".l", ".m"] + (["3", "2", "0", "(len .l)", "-1", "(index .s 0)"] if new else []))
                k2 = r.random()
                if k2 < 0.35:
                    decl = ""
                elif k2 < 0.55:
                    decl = "$e := "
                    self.vars.append("$e")
                elif k2 < 0.85:
                    decl = pick(["$k, $e := ", "$k,$e := "])
                    self.vars += ["$k", "$e"]
                elif new and k2 < 0.93 and len(self.vars) > 1:
                    decl = pick(self.vars) + " = "
                elif new and len(self.vars) > 1:
                    decl = pick(self.vars) + ", " + pick(self.vars) + " = "
                else:
                    decl = ""
                self.loops += 1
                out = self.act("range " + decl + over) + self.block(depth + 1)
                if r.random() < 0.3:
                    out += self.act("if " + self.pipeline()) + self.act(pick(["break", "continue"])) + self.act("end") + self.block(depth + 1)
                self.loops -= 1
                if r.random() < 0.3:
                    out += self.act("else") + self.block(depth + 1)
                return out + self.act("end")
            if k < 0.95:
                return pick(["{{/* comment */}}", "{{- /* c\n*/ -}}", "{{/**/ -}}"])
            if k < 0.985:
                name = pick(["T", "U", "V", "W"]) if self.defined or r.random() < 0.5 else "T"
                return self.act('template "%s"' % name + pick(["", " .", " " + self.pipeline()]))
            save, self.vars = self.vars, ["$"]
            loops, self.loops = self.loops, 0
            body = self.block(depth + 1)
            self.vars, self.loops = save, loops
            return self.act('block "%s" ' % pick(["B1", "B2"]) + self.pipeline()) + body + self.act("end")
        finally:
            del self.vars[mark:]

    def define(self):
        save, self.vars = self.vars, ["$"]
        name = pick(["T", "U", "V", "W"])
        self.defined.append(name)
        out = self.act('define "%s"' % name) + self.block(1) + self.act("end")
        self.vars = save
        return out

    def template(self):
        out = ""
        for _ in range(r.randrange(0, 3)):
            if r.random() < 0.4:
                out += self.define()
        out += "".join(self.item() for _ in range(r.randrange(1, 6)))
        if r.random() < 0.1:
            out = self.define() + out
        return out


def mutate(b):
    b = bytearray(b)
    for _ in range(r.randrange(1, 3)):
        if not b:
            break
        i = r.randrange(len(b))
        k = r.random()
        if k < 0.4:
            del b[i:i + r.randrange(1, 4)]
        elif k < 0.7:
            b[i:i] = pick([b"{{", b"}}", b"(", b")", b"|", b".", b"$", b" ", b"end", b"\xff", b"\"", b"-", b",", b":=", b"=", b"{{end}}", b"{{else}}", b"\n", b"@", b"\xe2\x80\xa8"])
        else:
            b[i] = r.randrange(256)
    return bytes(b)


pool = [(data(), {"q": pick(STRINGS), "mac": "52:54:00:12:34:56"}) for _ in range(max(count // 50, 20))]
for _ in range(count):
    source = Gen().template().encode()
    if r.random() < 0.12:
        source = mutate(source)
    values, query = pick(pool)
    print(json.dumps({"source": base64.b64encode(source).decode(), "data": values, "query": query,
                      "missing": pick(["error", "error", "default", "zero"])}))
