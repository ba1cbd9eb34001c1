/* Exceptions: through frames of C++ and of C, out of threads, and what is destroyed on their way.
 */
#include <cstdlib>
#include <exception>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include <errno.h>
#include <pthread.h>

#include "check.h"

namespace
{

using pair_of_ints = std::pair<int, int>;

struct counted {
    int &count;

    explicit counted(int &where) : count(where)
    {
        count++;
    }
    ~counted()
    {
        count--;
    }
};

struct base {
    virtual ~base() = default;
};
struct left : base {
};
struct right : base {
    int value = 5;
};
struct both : left, right {
};

[[gnu::noinline]] int dive(int depth, int &alive)
{
    counted here(alive);

    if (depth == 0)
        throw std::pair<int, int>(alive, 42);
    return dive(depth - 1, alive) + 1; /* not a tail call */
}

TEST(throw_through_frames, "An exception passes 200 frames, each of which destroys its object.")
{
    int alive = 0;

    try {
        dive(200, alive);
        CHECK(false);
    } catch (const std::pair<int, int> &thrown) {
        CHECK(thrown.first == 201 && thrown.second == 42);
    }
    CHECK(alive == 0);
}

TEST(throw_often, "A hundred thousand exceptions leave no memory behind.")
{
    for (int i = 0; i < 100000; i++)
        try {
            throw std::string(100, 'x');
        } catch (const std::string &text) {
            CHECK(text.size() == 100);
        }
}

TEST(throw_by_class, "A handler takes what is derived from its class, by the right address.")
{
    try {
        throw both();
    } catch (const right &caught) {
        CHECK(caught.value == 5);
    }
    CHECK(THROWS(left, throw both()));
    try {
        throw static_cast<right *>(nullptr);
    } catch (const base *caught) {
        CHECK(caught == nullptr);
    }
}

TEST(rethrow, "An exception is thrown again, within handlers and out of them.")
{
    int stage = 0;

    try {
        try {
            throw std::runtime_error("first");
        } catch (const std::exception &) {
            stage = 1;
            try {
                throw 7;
            } catch (int seven) {
                stage += seven;
            }
            throw;
        }
    } catch (const std::runtime_error &error) {
        CHECK(error.what() == std::string("first") && stage == 8);
    }
    CHECK(std::current_exception() == nullptr);

    std::exception_ptr kept;
    try {
        throw std::out_of_range("kept");
    } catch (...) {
        kept = std::current_exception();
    }
    CHECK(THROWS(std::out_of_range, std::rethrow_exception(kept)));
}

TEST(throw_nested, "An exception holds another.")
{
    try {
        try {
            throw std::invalid_argument("inner");
        } catch (...) {
            std::throw_with_nested(std::runtime_error("outer"));
        }
    } catch (const std::exception &outer) {
        CHECK(THROWS(std::invalid_argument, std::rethrow_if_nested(outer)));
    }
}

TEST(throw_in_constructor,
     "Members that were constructed are destroyed, and the memory is given back.")
{
    struct whole {
        counted a;
        std::vector<int> b;
        whole(int &alive) : a(alive), b(1000)
        {
            counted local(alive);
            throw local.count;
        }
    };
    int alive = 0;

    CHECK(THROWS(int, delete new whole(alive)));
    CHECK(alive == 0);
}

TEST(throw_uncaught_count, "A destructor knows that an exception is under way.")
{
    static int seen;
    struct watcher {
        ~watcher()
        {
            seen = std::uncaught_exceptions();
        }
    };

    seen = -1;
    CHECK(THROWS(int, watcher w; throw 1));
    CHECK(seen == 1 && std::uncaught_exceptions() == 0);
}

int throwing_order(const void *a, const void *b)
{
    if (*static_cast<const int *>(a) == 13 || *static_cast<const int *>(b) == 13)
        throw std::domain_error("unlucky");
    return *static_cast<const int *>(a) - *static_cast<const int *>(b);
}

TEST(throw_through_c, "An exception passes the C library: qsort and bsearch.")
{
    int numbers[] = {4, 9, 1, 7, 13, 2, 8, 5, 3, 6}, key = 13;

    CHECK(THROWS(std::domain_error, std::qsort(numbers, 10, sizeof(int), throwing_order)));
    CHECK(THROWS(std::domain_error, std::bsearch(&key, numbers, 10, sizeof(int), throwing_order)));
}

TEST(throw_in_once, "A call_once that throws has not happened: the next one is made.")
{
    std::once_flag flag;
    int calls = 0;

    for (int i = 0; i < 3; i++)
        CHECK(THROWS(int, std::call_once(flag, [&] { throw ++calls; })));
    std::call_once(flag, [&] { calls = 10; });
    std::call_once(flag, [&] { calls = 20; });
    CHECK(calls == 10);
}

TEST(throw_in_once_awaited, "A thread that waits for it makes the call itself.")
{
    std::once_flag flag;
    std::promise<void> started;
    int made = 0;

    std::thread second([&] {
        started.get_future().wait();
        std::call_once(flag, [&] { made = 2; });
    });
    CHECK(THROWS(int, std::call_once(flag, [&] {
                     started.set_value();
                     std::this_thread::sleep_for(std::chrono::milliseconds(50));
                     throw 1;
                 })));
    second.join();
    CHECK(made == 2);
}

TEST(throw_in_static, "A static object whose constructor throws is constructed the next time.")
{
    static int tries;
    struct third_time {
        third_time()
        {
            if (++tries < 3)
                throw tries;
        }
    };
    auto use = [] { static third_time object; };

    CHECK(THROWS(int, use()));
    CHECK(THROWS(int, use()));
    use();
    use();
    CHECK(tries == 3);
}

TEST(throw_out_of_thread, "A future brings the exception of a thread.")
{
    auto failing = std::async(std::launch::async, [] {
        int alive = 0;
        return dive(20, alive);
    });

    CHECK(THROWS(pair_of_ints, failing.get()));

    std::promise<int> promise;
    std::thread([&] {
        try {
            std::vector<int>().at(1);
        } catch (...) {
            promise.set_exception(std::current_exception());
        }
    }).join();
    CHECK(THROWS(std::out_of_range, promise.get_future().get()));
}

TEST(throw_in_many_threads, "Threads throw at the same time, each its own.")
{
    std::vector<std::thread> threads;
    std::vector<int> sums(8);

    for (int &sum : sums)
        threads.emplace_back([&sum] {
            for (int i = 0; i < 2000; i++)
                try {
                    int alive = 0;
                    dive(i % 7, alive);
                } catch (const std::pair<int, int> &thrown) {
                    sum += thrown.first;
                    if (i % 16 == 0)
                        std::this_thread::yield();
                }
        });
    for (auto &thread : threads)
        thread.join();
    for (int sum : sums)
        CHECK(sum == sums[0] && sum > 2000);
}

TEST(throw_system_error, "Errors of the system come as exceptions with their text.")
{
    std::error_code code(ENOENT, std::generic_category());

    CHECK(code == std::errc::no_such_file_or_directory);
    CHECK(code.message() == "No such file or directory");
    CHECK(THROWS(std::system_error, std::thread().detach()));
}

TEST(throw_bad_alloc, "A request for more than there can be is refused.")
{
    volatile std::size_t huge = static_cast<std::size_t>(1) << 46;

    CHECK(THROWS(std::bad_alloc, std::vector<char>{}.reserve(huge)));
    CHECK(new (std::nothrow) char[huge] == nullptr);
    CHECK(THROWS(std::length_error, std::vector<int>{}.resize(~static_cast<std::size_t>(0))));
    CHECK(THROWS(std::bad_array_new_length, delete[] new int[huge << 17]));
}

} // namespace
