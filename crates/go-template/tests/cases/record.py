#!/usr/bin/env python3
"""Joins requests and the answers of oracle.go into one file that tests/generated.rs replays.

usage: record.py REQUESTS ANSWERS > generated.json

The file is {"data": [[data, query], ...], "cases": [[source, data index, missing, text or null], ...]}: bytes are base64,
null says that Go gave an error. Answers over 8 KiB are left out.
"""
import json, sys

data, cases = [], []
for request, answer in zip(open(sys.argv[1]), open(sys.argv[2])):
    request, answer = json.loads(request), json.loads(answer)
    if len(answer.get("text", "")) > 8192:
        continue
    pair = [request["data"], request["query"]]
    if pair not in data:
        data.append(pair)
    cases.append([request["source"], data.index(pair), request["missing"], answer.get("text")])
print('{"data":[')
print(",\n".join(json.dumps(pair, separators=(",", ":")) for pair in data))
print('],"cases":[')
print(",\n".join(json.dumps(case, separators=(",", ":")) for case in cases))
print("]}")
