"""hello, everywhere: boots, shows what it was given, exits."""
import hosts
from framework import PARVUS, app_image, boot, command, test

boot("hello", "hello greets and exits with 0 on every host.", app="hello", hosts=hosts.ALL,
     console=[r"^Hello from Parvus"], absent=[r"argv\[", r"#0 0x"])

boot("hello-arguments", "Arguments and environment arrive on every host as they were given.",
     app="hello", hosts=hosts.ALL, arguments=["one", "two words", 'quo"te', "back\\slash", "a=b"],
     options=["--append", 'env.GREETING="good day" env.EMPTY='],
     console=[r"^argv\[1\] = one$", r"^argv\[2\] = two words$", r'^argv\[3\] = quo"te$',
              r"^argv\[4\] = back\\slash$", r"^argv\[5\] = a=b$",
              r"^environment: GREETING=good day$", r"^environment: EMPTY=$"])


@test("hello-dry-run", "The command that --dry-run prints boots hello.")
def check_dry_run():
    status, output = command([PARVUS, "run", "--accel", "tcg", "--dry-run", app_image("hello")])
    assert status == 0 and output.count("\n") == 1, output
    status, output = command(["sh", "-c", output])
    assert status == 1 and "Hello from Parvus" in output, (status, output)
