#!/usr/bin/env python3
"""In a guest: turns swift-testing's event stream into few lines for a slow console, as it comes.

usage: report.py EVENTS

KERNEL-TEST<TAB>test<TAB>IDENTIFIER<TAB>passed|failed|skipped<TAB>CASES<TAB>MILLISECONDS, and issues of what failed. The results come once more
at the end: the kernel writes to the same console, and where it likes.
"""
import json
import sys

results = []


def say(*fields):
    print("KERNEL-TEST", *fields, sep="\t", flush=True)


def result(*fields):
    results.append(fields)
    say("test", *fields)


def main():
    cases, failed, begun = {}, set(), {}
    with open(sys.argv[1]) as file:
        for line in file:
            record = json.loads(line)
            if record["kind"] == "test":
                continue
            payload = record["payload"]
            test, kind = payload.get("testID", ""), payload["kind"]
            if kind == "issueRecorded" and not payload.get("issue", {}).get("isKnown"):
                failed.add(test)
                texts = " | ".join(message["text"] for message in payload["messages"])
                say("issue", test.split("/")[-1] + ": " + texts.replace("\n", " ")[:1000])
            # Suites end too; a function's identifier ends with its place.
            elif ".swift:" not in test:
                continue
            elif kind == "testStarted":
                begun[test] = payload["instant"]["absolute"]
            elif kind == "testCaseEnded":
                cases[test] = cases.get(test, 0) + 1
            elif kind == "testSkipped":
                result(test, "skipped", 1, 0)
            elif kind == "testEnded":
                milliseconds = round((payload["instant"]["absolute"] - begun.get(test, 0)) * 1000)
                result(test, "failed" if test in failed else "passed", max(1, cases.get(test, 0)), milliseconds)
    for fields in results:
        say("test", *fields)


main()
