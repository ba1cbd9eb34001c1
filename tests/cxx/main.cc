/* Runs all tests, or one ending. The output's form: tests/framework.py. */
#include <cstdio>
#include <cstring>
#include <exception>

#include "check.h"

static const test *tests;

test::test(const char *name, void (*function)(), bool ends)
    : id(name), run(function), is_ending(ends), next(tests)
{
    tests = this;
}

static int end(const char *name)
{
    for (const test *t = tests; t != nullptr; t = t->next)
        if (t->is_ending && std::strcmp(t->id, name) == 0) {
            t->run();
            return 0;
        }
    std::printf("no ending is called %s\n", name);
    return 2;
}

static bool passes(const test &t)
{
    std::printf("test: %s ...", t.id);
    std::fflush(stdout);
    try {
        t.run();
    } catch (const std::exception &error) {
        std::printf(" FAILED %s\n", error.what());
        return false;
    }
    std::printf(" ok\n");
    return true;
}

int main(int argc, char **argv)
{
    int passed = 0, failed = 0;

    if (argc == 3 && std::strcmp(argv[1], "--end") == 0)
        return end(argv[2]);
    for (const test *t = tests; t != nullptr; t = t->next)
        if (!t->is_ending)
            passes(*t) ? passed++ : failed++;
    std::printf("tests: %d passed, %d failed, 0 skipped\n", passed, failed);
    return failed != 0;
}
