/* Programs that end in a certain way; tests/host/cxx.py says what they must print. */
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

#include "check.h"

namespace
{

struct speaker {
    const char *name;

    explicit speaker(const char *text) : name(text) {}
    ~speaker()
    {
        std::printf("~%s\n", name);
    }
};

speaker global("global");
thread_local speaker of_thread("thread");

ENDING(order)
{
    static speaker local("local");
    std::atexit([] { std::puts("atexit"); });
    static speaker after("after");

    std::thread([] { of_thread.name = "other thread"; }).join();
    of_thread.name = "main thread";
}

ENDING(order_by_exit)
{
    speaker automatic("automatic");

    std::thread([] {
        of_thread.name = "caller of exit";
        std::exit(3);
    }).join();
}

ENDING(order_at_once)
{
    of_thread.name = "main thread";
    std::_Exit(4);
}

/* The exception itself has a place then, and so has what comes after it. */
ENDING(memory)
{
    static char *blocks[1 << 16];
    std::size_t bytes = 1 << 20, count = 0;

    while (bytes >= 64)
        try {
            blocks[count] = new char[bytes];
            count++;
        } catch (const std::bad_alloc &) {
            bytes /= 2;
        }
    bool is_told = false;
    try {
        std::string(200, 'x');
    } catch (const std::bad_alloc &) {
        is_told = true;
    }
    while (count > 0)
        delete[] blocks[--count];
    std::printf("%s; %zu\n", is_told ? "told" : "not told", std::string(1000, 'x').size());
}

ENDING(uncaught)
{
    speaker automatic("automatic");

    throw std::runtime_error("nobody catches this");
}

ENDING(uncaught_in_thread)
{
    std::thread([] { throw 5; }).join();
}

ENDING(noexcept_broken)
{
    auto promise = [](const std::string &text) noexcept { return text.at(10); };

    promise("short");
}

ENDING(console)
{
    std::string name;
    int number;

    std::cin >> name >> number;
    std::cout << "got " << name << ' ' << number << std::endl;
    std::cerr << "to stderr\n";
    std::clog << "to the log\n";
    std::wcout << L"wide " << 1.5 << L'\n';
}

} // namespace
