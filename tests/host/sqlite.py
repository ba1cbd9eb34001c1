"""SQLite as it comes: apps/sqlite, apps/speedtest1, and tests of its own that need no Tcl."""
import os
import re
import shutil
import sqlite3
import subprocess
import tarfile

import hosts
from framework import BOOT_TIMEOUT_S, PARVUS, app_image, parvus, tar, test
from parvuslib.images import ROOT

SQLITE_HOSTS = ["tcg-microvm", "kvm-microvm", "xen-dom0"]

STATEMENTS = """
create table city (name text primary key, people integer, north real);
insert into city values ('Bern', 134591, 46.9), ('Oslo', 709037, 59.9), ('Rome', 2755309, 41.9);
begin; delete from city; rollback;
select group_concat(name, '+') from (select name from city where north > 45 order by people desc);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000) insert into city select 'c' || i, i, i / 200.0 from n;
create index by_people on city (people);
select count(*), sum(people) from city where people between 100 and 199;
select printf('%.6f', sqrt(2)), upper('x'), date(0, 'unixepoch');
insert into city values ('Bern', 1, 1);
vacuum;
pragma integrity_check;
attach '/tmp/other.db' as other;
create table other.copy as select * from city;
select count(*) from other.copy;
.backup /tmp/backup.db
.open /tmp/backup.db
select count(*) from city;
"""


@test("sqlite-shell", "The shell keeps a database in /tmp: transactions, an index, errors, a backup, integrity.", SQLITE_HOSTS)
def check_shell(host, folder):
    archive = tar(folder, {"statements.sql": STATEMENTS})
    status, output = parvus(host, app_image("sqlite"), ["-batch", "/tmp/test.db", ".read /statements.sql"],
                            ["--initrd", archive])
    answers = [line for line in output.splitlines() if line and not line.startswith("parvus")]
    assert [line for line in answers if "UNIQUE" not in line] == [
        "Oslo+Bern", "100|14950", "1.414214|X|1970-01-01", "ok", "20003", "20003"], output
    assert re.search(r"UNIQUE constraint failed: city\.name", output), output
    assert status in (0, 1), status  # 1: there was an error


@test("sqlite-console", "The shell reads statements from the console.")
def check_console():
    done = subprocess.run([PARVUS, "run", "--timeout", str(BOOT_TIMEOUT_S), app_image("sqlite")],
                          input="create table t (a);\ninsert into t values (6);\nselect a * 7 from t;\n.exit 5\n",
                          capture_output=True, text=True, errors="replace")
    assert done.returncode == 5 and "42" in done.stdout, done


@test("sqlite-speedtest1", "SQLite's benchmark runs to its end in /tmp, and the database is whole.", SQLITE_HOSTS)
def check_speedtest(host):
    status, output = parvus(host, app_image("speedtest1"), ["--size", "2", "/tmp/speed.db"])
    assert status == 0 and re.search(r"980 - PRAGMA integrity_check.*\n.*990 - ANALYZE.*\n +TOTAL", output), output


@test("sqlite-share", "SQLite's benchmark on a folder of the host's: the host finds the database whole, and so does the shell.")
def check_share(folder):
    folder = os.path.join(folder, "share")
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    status, output = parvus(hosts.ONE[0], app_image("speedtest1"), ["--size", "1", "/host/speed.db"], ["--share", folder])
    assert status == 0 and "TOTAL" in output, output
    with sqlite3.connect(os.path.join(folder, "speed.db")) as database:
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
    status, output = parvus(hosts.ONE[0], app_image("sqlite"), ["-batch", "/host/speed.db", "pragma integrity_check;"],
                            ["--share", folder])
    assert (status, output.split()[-1]) == (0, "ok"), output


# With so small a cache the database is written long before the transaction ends.
HALF_DONE = """pragma journal_mode=delete;
create table t (a integer primary key, b text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) insert into t select i, printf('%0100d', i) from n;
pragma cache_size=10;
begin;
update t set b = 'overwritten';
select 'half ' || 'done';
"""


@test("sqlite-killed", "A guest that is killed in a transaction leaves a journal, by which the next one is where it was before.")
def check_killed(folder):
    folder = os.path.join(folder, "share")
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    path = os.path.join(folder, "test.db")
    with subprocess.Popen([PARVUS, "run", "--timeout", str(BOOT_TIMEOUT_S), "--share", folder, app_image("sqlite"), "--",
                           "-batch", "/host/test.db"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as guest:
        guest.stdin.write(HALF_DONE)
        guest.stdin.flush()
        lines = []
        for line in guest.stdout:
            lines.append(line)
            if line.strip() == "half done":
                break
        guest.terminate()
    assert lines and lines[-1].strip() == "half done", lines
    with open(path, "rb") as file:
        assert b"overwritten" in file.read(), "nothing was written before the end"
    assert os.path.getsize(f"{path}-journal") > 0
    status, output = parvus(hosts.ONE[0], app_image("sqlite"), [
        "-batch", "/host/test.db", "select count(*), sum(b) from t; pragma integrity_check;"], ["--share", folder])
    assert (status, output.split()[-2:]) == (0, ["5000|12502500", "ok"]), output
    assert not os.path.exists(f"{path}-journal")


# Two connections, which see each other's commits by the shared mapping of the -shm file.
WAL = """pragma journal_mode=wal;
create table t (a integer primary key, b text);
insert into t values (1, 'one');
.connection 1
.open {database}
begin;
select count(*) from t;
.connection 0
begin immediate; insert into t values (2, 'two'); commit;
select count(*) from t;
.connection 1
select count(*) from t;
insert into t values (3, 'outdated');
commit;
select count(*) from t;
insert into t values (3, 'three');
.connection 0
select group_concat(b) from t;
begin immediate;
.connection 1
pragma busy_timeout=50;
insert into t values (4, 'locked');
.connection 0
commit;
pragma wal_checkpoint(truncate);
pragma mmap_size=1000000;
update t set b = b || '!';
select group_concat(b) from t;
pragma integrity_check;
"""


@test("sqlite-wal", "A write-ahead log with two connections: each reads its own state, the writer does not wait for readers.")
def check_wal(folder):
    archive = tar(folder, {"wal.sql": WAL.format(database="/tmp/test.db")})
    _, output = parvus(hosts.ONE[0], app_image("sqlite"), ["-batch", "/tmp/test.db", ".read /wal.sql"],
                       ["--initrd", archive])
    answers = [line for line in output.splitlines() if line and not line.startswith("parvus")]
    assert [line for line in answers if "locked" not in line] == [
        "wal", "1", "2", "1", "2", "one,two,three", "50", "0|0|0", "1000000", "one!,two!,three!", "ok"], output
    assert len([line for line in answers if "database is locked" in line]) == 2, output


# The others take from ten seconds to a minute each.
THREAD_TESTS = ["walthread5", "cgt_pager_1", "create_drop_index_1"]


@test("sqlite-threads", "SQLite's own test of threads: those that are soon done.")
def check_threads():
    status, output = parvus(hosts.ONE[0], app_image("threadtest3"), THREAD_TESTS, ["--mem", "512M"])
    assert status == 0 and re.search(r"^0 errors out of [1-9][0-9]* tests$", output, re.MULTILINE), output


@test("sqlite-fuzzcheck", "Statements and damaged databases that fuzzers found: no error, no crash, no leak.")
def check_fuzz(folder):
    deps = os.path.join(ROOT, os.environ.get("DEPS") or "build/deps")
    archive = os.path.join(folder, "data.tar")
    with tarfile.open(archive, "w") as file:
        file.add(os.path.join(deps, "sqlite", "test", "fuzzdata4.db"), "fuzzdata4.db")
    status, output = parvus(hosts.ONE[0], app_image("fuzzcheck"), ["/fuzzdata4.db"], ["--mem", "512M", "--initrd", archive])
    assert status == 0 and "0 errors out of 2575 tests" in output, output
