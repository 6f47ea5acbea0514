"""What must be true of a case's timeline, whatever was measured: of traces/ID.json, and of the Chrome trace made of it."""

import collections
import json
import pathlib


def instances(trace):
    """Parts of several ranks that are one event, [(key, [event, ...]), ...] in the order of the first rank."""
    together = collections.OrderedDict()
    for place, rank in enumerate(trace["ranks"]):
        seen = collections.Counter()
        for event in rank["events"]:
            key = tuple(event[k] for k in ("kind", "direction", "bytes", "group", "stage", "microbatch"))
            part = place // event["group"] if event["group"] else 0
            together.setdefault((rank["group"], part, *key, seen[key]), []).append(event)
            seen[key] += 1
    return together


def check_sums(test, trace, record, sample):
    """The sums over slices are those of the sample: of compute, communication and the step."""
    compute = communication = 0
    for key, events in instances(trace).items():
        if key[2] == "compute":
            compute += max(event["end_s"] - event["start_s"] for event in events)
        else:
            communication += max(e["end_s"] for e in events) - max(e["start_s"] for e in events)
    samples = record["samples_s"]
    # Nanoseconds of each event; between hosts the clocks are known a little better when all has been measured.
    tolerance = 1e-7 + 2 * trace["clock_error_s"] * max(1, record["clock"]["differences_per_step"])
    test.assertAlmostEqual(compute, samples["compute"][sample], delta=1e-7)
    if samples["communication"] is not None:
        test.assertAlmostEqual(communication, samples["communication"][sample], delta=tolerance)
    test.assertAlmostEqual(trace["step_s"], samples["step"][sample], delta=1e-12)
    last_end = max(event["end_s"] for rank in trace["ranks"] for event in rank["events"])
    test.assertLessEqual(last_end, trace["step_s"] + tolerance)


def check_chrome(test, document, error_us):
    """Strictly what the format asks for; returns how many arrows there are."""
    slices, starts, ends = collections.defaultdict(list), {}, 0
    named = set()
    for event in document["traceEvents"]:
        test.assertIsInstance(event["pid"], int)
        test.assertIsInstance(event["tid"], int)
        if event["ph"] == "M":
            named.add((event["name"], event["pid"], event["tid"]))
        elif event["ph"] == "X":
            test.assertGreaterEqual(event["dur"], 0)
            slices[event["pid"], event["tid"]].append(event)
        elif event["ph"] == "s":
            test.assertNotIn(event["id"], starts)
            starts[event["id"]] = event
        else:
            test.assertEqual((event["ph"], event["bp"]), ("f", "e"))
            test.assertGreaterEqual(event["ts"], starts[event["id"]]["ts"] - error_us - 1e-3)
            ends += 1
    test.assertEqual(ends, len(starts))
    for (pid, tid), events in slices.items():
        test.assertIn(("process_name", pid, 0), named)
        test.assertIn(("thread_name", pid, tid), named)
        test.assertEqual({event["cat"] for event in events}, {"communication" if tid % 2 else "compute"})
        for before, after in zip(events, events[1:]):
            test.assertGreaterEqual(after["ts"] + 1e-3, before["ts"] + before["dur"], "slices of one thread nest or follow")
        # Every arrow begins or ends within a slice of its thread.
    for event in [e for e in document["traceEvents"] if e["ph"] in "sf"]:
        around = [s for s in slices[event["pid"], event["tid"]]
                  if s["ts"] - 1e-3 <= event["ts"] <= s["ts"] + s["dur"] + 1e-3]
        test.assertTrue(around, event)
    return ends


def check_folder(test, folder, records):
    """Each case that is ok has a timeline, which is that of one of its samples of the last epoch."""
    for id, record in records.items():
        path = pathlib.Path(folder, "traces", f"{id}.json")
        test.assertEqual(path.exists(), record["status"] == "ok", id)
        if not path.exists():
            continue
        trace = json.loads(path.read_text())
        test.assertEqual((trace["schema"], trace["id"]), ("tpbench.trace/1", id))
        ranks = len(record["ranks"]["group"]) * record["ranks"]["replicas"]
        test.assertEqual(len(trace["ranks"]), min(ranks, 64))
        if record["epochs"]["done"] == 1 and record["ranks"]["replicas"] == 1:
            check_sums(test, trace, record, trace["sample"])
