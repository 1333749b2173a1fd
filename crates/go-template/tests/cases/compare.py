#!/usr/bin/env python3
"""Compares the answers of oracle.go and render-lines; exit 1 if any differs in text or in the kind of error.

usage: compare.py REQUESTS GO RUST [SHOWN]
"""
import base64, json, re, sys

requests, go, rust = (open(name).read().rstrip("\n").split("\n") for name in sys.argv[1:4])
shown = int(sys.argv[4]) if len(sys.argv) > 4 else 20
assert len(requests) == len(go) == len(rust), (len(requests), len(go), len(rust))
wrong, texts, errors, lines, places = 0, 0, 0, 0, 0
for request, a, b in zip(requests, go, rust):
    request, a, b = json.loads(request), json.loads(a), json.loads(b)
    source = base64.b64decode(request["source"])
    (kind_a, said_a), (kind_b, said_b) = *a.items(), *b.items()
    if kind_a == "text":
        said_a, said_b = base64.b64decode(said_a), base64.b64decode(said_b) if kind_b == "text" else said_b
        texts += 1
        if said_a == said_b:
            continue
    elif kind_a == kind_b:
        errors += 1
        at_a, at_b = (re.match(r"template: [^:]*:(\d+)", said) for said in (said_a, said_b))
        lines += at_a is not None and at_b is not None and at_a.group(1) == at_b.group(1)
        places += said_a.split(">: ")[-1] == said_b.split(">: ")[-1]
        continue
    wrong += 1
    if wrong <= shown:
        print(source, json.dumps(request["data"]), request["missing"], "go  ", kind_a, said_a, "rust", kind_b, said_b, "", sep="\n")
print(f"{len(requests)} templates: {texts} texts, {errors} errors ({lines} on the same line, {places} in the same words), {wrong} differ")
sys.exit(wrong > 0)
