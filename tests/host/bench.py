"""tools/bench."""
import json
import os
import shutil

from framework import BUILD, Skip, command, test


@test("bench-hello", "A benchmark writes its files, also when nobody reads its tables.")
def check_bench():
    path = os.path.join(BUILD, "bench", "hello.json")
    if os.path.exists(path):
        os.remove(path)
    status, output = command(["sh", "-c", "{ tools/bench --quick hello; echo status $? >&2; } | true"])
    assert (status, output) == (0, "status 0\n"), output
    with open(path, encoding="utf-8") as file:
        assert json.load(file)["instructions_to_exit"] > 0


@test("bench-promises", "The promised numbers of instructions hold; they are the same in every run.")
def check_promises():
    status, output = command(["tools/bench", "--quick", "pvbench"])
    assert status == 0, output
    with open(os.path.join(BUILD, "bench", "pvbench.json"), encoding="utf-8") as file:
        results = json.load(file)
    costs = {name: figure.get("value") for name, figure in results["hosts"]["Parvus"]["figures"].items()}
    ring_0 = {name: split["ring 0"] for name, split in results["profiles"].items()}
    for what, cost, most in [
            ("a hypercall", costs["call.null"], 60), ("of it in ring 0", ring_0["call.null"], 40),
            ("a clock read", costs["clock.page"], 40), ("of it in ring 0", ring_0["clock.page"], 0),
            *((f"{change} in a batch", costs[f"pte.{change}.mmu_update.512"], 40)
              for change in ("set", "remap", "clear"))]:
        assert cost <= most, f"{what}: {cost} instructions, more than {most}"


@test("bench-protections", "ASLR, the seal and canaries together cost hello at most 2 % of its instructions.")
def check_protections():
    status, output = command(["tools/bench", "--quick", "protections"], timeout=900)
    assert status == 0, output
    with open(os.path.join(BUILD, "bench", "protections.json"), encoding="utf-8") as file:
        cost = json.load(file)["apps"]["hello"]
    assert all(cost[name] > 100 for name in ("aslr", "seal", "canaries")), f"one was not on, or not off: {cost}"
    assert cost["percent"] <= 2, f"{cost['percent']:.2f} %: {cost}"


@test("bench-httpd", "What a request and a byte cost, in instructions: the device adds up what TCP carries and cuts it, "
      "and most requests need no hypercall.")
def check_httpd():
    if os.geteuid() != 0:
        raise Skip("network namespaces need root")
    for _ in range(3):  # how many hypercalls there are depends on how fast the client is
        status, output = command(["tools/bench", "--quick", "httpd"], timeout=900)
        assert status == 0, output
        with open(os.path.join(BUILD, "bench", "httpd.json"), encoding="utf-8") as file:
            counts = json.load(file)["counts"]
        count = counts["onepage, a request"]
        if count["hypercalls"] <= 0.5:
            break
    for what, most in [("checksums", 10), ("hypercalls", 0.5), ("instructions", 6500)]:
        assert 0 <= count[what] <= most, f"{what} of a request: {count[what]}, more than {most}"
    assert count["instructions"] > 1000 and count["kicks"] > 0, f"it is not counted: {count}"
    for what, most in [("iperf, a byte sent", 0.5), ("iperf, a byte received", 0.75)]:
        assert 0.01 < counts[what]["instructions"] <= most, f"{what}: {counts[what]['instructions']}"


@test("bench-disk", "The benchmark of the disk counts what each request costs.")
def check_disk():
    status, output = command(["tools/bench", "--quick", "disk"], timeout=900)
    assert status == 0, output
    with open(os.path.join(BUILD, "bench", "disk.json"), encoding="utf-8") as file:
        figures = json.load(file)["hosts"]["tcg-microvm"]["figures"]
    assert len(figures) == 24 and all(figure["iops"] > 0 for figure in figures), figures
    for figure in figures:
        if figure["order"] == "sequential":
            assert figure["counts"]["instructions"] > 100, figure


@test("bench-compute", "Programs that compute take hardly more instructions than as Linux processes, hypervisor and boot "
      "included; or fewer.")
def check_compute():
    if not shutil.which("qemu-x86_64"):
        raise Skip("qemu-user is missing")
    status, output = command(["tools/bench", "--quick", "compute"], timeout=900)
    assert status == 0, output
    with open(os.path.join(BUILD, "bench", "compute.json"), encoding="utf-8") as file:
        runs = json.load(file)["runs"]
    for name, most in [("speedtest1, in memory", 1.01), ("speedtest1, a file in memory", 1.05),
                       ("Lua, allocating", 1.13)]:
        run = runs[name]
        assert run["ratio"] <= most, f"{name}: {run['ratio']:.3f} of a Linux process's instructions, more than {most}"
        for side, least in [("linux", 1e8), ("guest", 1e8)]:
            assert run[side]["instructions"] > least and run[side]["functions"], f"{name}: {side} is not counted"
        assert 1e5 < run["guest"]["ring_0"] < 1e7, f"{name}: the hypervisor is not counted"


@test("bench-redis-output", "What redis-benchmark prints is understood, and what is something else refused.")
def check_redis_output():
    code = ("import sys; sys.path.insert(0, 'tools'); from benchlib import redis; "
            "print(redis.rates(sys.argv[1]))")
    for text, expected in [
            ("SET: rps=0.0 (overall: 0.0)\rSET: 139664.80 requests per second, p50=2.9 msec\n"
             "GET: 160000.00 requests per second\n", (0, "{'SET': 139664.8, 'GET': 160000.0}\n")),
            ("SET: 139664.80 requests per second\n", (1, None)), ("Error: refused\n", (1, None))]:
        status, output = command(["python3", "-B", "-c", code, text])
        assert status == expected[0] and expected[1] in (None, output), (text, output)
