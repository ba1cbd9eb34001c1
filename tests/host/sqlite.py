"""apps/sqlite and apps/speedtest1: SQLite as it comes."""
import re
import subprocess

from framework import BOOT_TIMEOUT_S, PARVUS, app_image, parvus, tar, test

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
