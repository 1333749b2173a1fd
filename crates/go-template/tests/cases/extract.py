#!/usr/bin/env python3
"""Extracts template cases from a recorded bootcfg corpus into JSON that tests/corpus.rs replays.

usage: extract.py CORPUS SUITE PREFIX > SUITE.json

CORPUS is the folder with the suites; SUITE one of them; PREFIX the start of the names to take. Each case becomes
{name, source (base64), data, query (map of strings), raw_query, expect (base64) or null where rendering must fail}.
"""
import base64, json, os, sys, urllib.parse

corpus, suite, prefix = sys.argv[1:4]
folder = os.path.join(corpus, suite, "data")
out = []
for case in json.load(open(os.path.join(corpus, suite, "cases.json"))):
    if not case["name"].startswith(prefix):
        continue
    raw = case["path"].partition("?")[2]
    query = {}
    for pair in raw.split("&"):
        key, _, value = pair.partition("=")
        query.setdefault(urllib.parse.unquote_plus(key), urllib.parse.unquote_plus(value))
    number = query["case"]
    group = json.load(open(os.path.join(folder, "groups", number + ".json")))
    profile = json.load(open(os.path.join(folder, "profiles", group["profile"] + ".json")))
    source = open(os.path.join(folder, "generic", profile["generic_id"]), "rb").read()
    data = group.get("metadata") or {}
    data.update({key.lower(): value for key, value in group.get("selector", {}).items()})
    expect = case["expect"]
    body = None
    if expect["status"] == 200:
        if "body" in expect:
            body = base64.b64encode(expect["body"].encode()).decode()
        else:
            body = expect["body_base64"]
    out.append({"name": case["name"], "source": base64.b64encode(source).decode(), "data": data,
                "query": query, "raw_query": raw, "expect": body})
print("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in out) + "\n]")
