/* The library's parts that stand on the system: threads, clocks, streams, files, random numbers. */
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <fstream>
#include <future>
#include <iomanip>
#include <iostream>
#include <list>
#include <locale>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <regex>
#include <set>
#include <shared_mutex>
#include <sstream>
#include <thread>
#include <unordered_map>
#include <vector>

#include "check.h"

namespace
{

using namespace std::chrono_literals;
namespace fs = std::filesystem;

TEST(mutexes, "Four threads add under a lock; recursive, timed and shared locks do what they say.")
{
    std::mutex mutex;
    std::recursive_mutex recursive;
    std::timed_mutex timed;
    std::shared_mutex shared;
    std::vector<std::thread> threads;
    long sum = 0;

    for (int i = 0; i < 4; i++)
        threads.emplace_back([&] {
            for (int j = 0; j < 10000; j++) {
                std::lock_guard<std::mutex> lock(mutex);
                sum++;
            }
        });
    for (auto &thread : threads)
        thread.join();
    CHECK(sum == 40000);

    std::scoped_lock both(recursive, timed);
    CHECK(recursive.try_lock());
    recursive.unlock();
    std::thread([&] {
        CHECK(!recursive.try_lock());
        CHECK(!timed.try_lock_for(10ms));
    }).join();
    std::shared_lock<std::shared_mutex> reader(shared);
    std::thread([&] {
        CHECK(shared.try_lock_shared());
        shared.unlock_shared();
        CHECK(!shared.try_lock());
    }).join();
}

TEST(condition_variables, "Items pass from a thread to another in order; waits end in time.")
{
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<int> queue;
    std::vector<int> received;
    std::thread consumer([&] {
        while (received.size() < 1000) {
            std::unique_lock<std::mutex> lock(mutex);
            changed.wait(lock, [&] { return !queue.empty(); });
            received.push_back(queue.front());
            queue.pop_front();
        }
    });

    for (int i = 0; i < 1000; i++) {
        std::lock_guard<std::mutex> lock(mutex);
        queue.push_back(i);
        changed.notify_one();
    }
    consumer.join();
    CHECK(std::is_sorted(received.begin(), received.end()) && received.back() == 999);

    std::unique_lock<std::mutex> lock(mutex);
    auto start = std::chrono::steady_clock::now();
    CHECK(changed.wait_for(lock, 20ms) == std::cv_status::timeout);
    CHECK(changed.wait_until(lock, std::chrono::system_clock::now() + 20ms) ==
          std::cv_status::timeout);
    CHECK(std::chrono::steady_clock::now() - start >= 40ms);
}

TEST(futures, "Tasks run beside each other and give their results.")
{
    std::vector<std::future<int>> results;
    std::packaged_task<int(int)> task([](int x) { return x * x; });
    auto squared = task.get_future();

    for (int i = 0; i < 10; i++)
        results.push_back(std::async(std::launch::async, [i] { return i * 2; }));
    std::thread(std::move(task), 12).join();
    CHECK(squared.get() == 144);
    CHECK(std::accumulate(results.begin(), results.end(), 0,
                          [](int sum, auto &result) { return sum + result.get(); }) == 90);
    std::promise<void> never;
    CHECK(never.get_future().wait_for(5ms) == std::future_status::timeout);
    CHECK(std::thread::hardware_concurrency() >= 1);
}

TEST(clocks, "Time goes on, and sleeping takes at least as long as it should.")
{
    auto wall = std::chrono::system_clock::now();
    auto start = std::chrono::steady_clock::now();

    CHECK(wall.time_since_epoch() > 24h * 365 * 50);
    std::this_thread::sleep_for(15ms);
    std::this_thread::sleep_until(std::chrono::steady_clock::now() + 15ms);
    CHECK(std::chrono::steady_clock::now() - start >= 30ms);
    CHECK(std::chrono::high_resolution_clock::now().time_since_epoch() > 0s);
}

TEST(random_device, "Random numbers differ, and come from the system or the processor.")
{
    std::set<unsigned> values;

    for (const char *token : {"default", "/dev/urandom", "getentropy", "arc4random"}) {
#ifndef __parvus__
        if (std::string(token) == "arc4random" || std::string(token) == "getentropy")
            continue;
#endif
        std::random_device device(token);
        for (int i = 0; i < 100; i++)
            values.insert(device());
    }
    CHECK(values.size() > 198);
    CHECK(THROWS(std::runtime_error, std::random_device("no such device")));
    std::mt19937 twister(5489u);
    twister.discard(9999);
    CHECK(twister() == 4123659995u); /* C++17, [rand.predef] */
}

TEST(streams_format, "Numbers, widths, bases and times are written as asked, and read back.")
{
    std::ostringstream out;
    std::tm day = {};

    day.tm_year = 70, day.tm_mday = 2, day.tm_hour = 13;
    out << std::setw(6) << std::setfill('*') << 42 << ' ' << std::hex << std::showbase << 255 << ' '
        << std::fixed << std::setprecision(3) << 3.14159 << ' ' << std::scientific << 1e100 << ' '
        << std::boolalpha << true << ' ' << std::put_time(&day, "%Y-%m-%d %H") << ' ' << 1.5L << ' '
        << std::quoted("a \"b\"") << ' ' << std::defaultfloat << std::setprecision(6) << 0.1f;
    CHECK(out.str() ==
          "****42 0xff 3.142 1.000e+100 true 1970-01-02 13 1.500e+00 \"a \\\"b\\\"\" 0.1");

    std::istringstream in("17 0x1f 2.5e3 word rest of it\nnext");
    int a, b;
    double c;
    std::string word, rest;
    in >> a >> std::hex >> b >> c >> word;
    std::getline(in >> std::ws, rest);
    CHECK(in && a == 17 && b == 31 && c == 2500 && word == "word" && rest == "rest of it");
    CHECK(!(in >> a) && in.fail() && !in.bad());
    std::wostringstream wide;
    wide << L"w\u00e4 " << 7;
    CHECK(wide.str() == L"w\u00e4 7");
    CHECK(std::locale().name() == "C" && THROWS(std::runtime_error, std::locale("xx_YY")));
    CHECK(std::stod("0x1.8p1") == 3.0 && std::to_string(-1.25) == "-1.250000");
}

TEST(streams_files, "Files are written, read, appended to and moved in.")
{
    const char *path = "/tmp/cxx-stream";
    std::string line, all;
    int lines = 0;

    {
        std::ofstream file(path);
        for (int i = 0; i < 5000; i++)
            file << "line " << i << '\n';
    }
    std::ifstream file(path);
    while (std::getline(file, line))
        CHECK(line == "line " + std::to_string(lines++));
    CHECK(lines == 5000 && file.eof());

    std::fstream both(path, std::ios::in | std::ios::out | std::ios::ate | std::ios::binary);
    CHECK(both.tellg() == 48890);
    both.seekp(5) << 'X';
    both.seekg(0) >> all >> line;
    CHECK(both && all == "line" && line == "X");
    std::ofstream(path, std::ios::app) << "end";
    std::ifstream again(path);
    all.assign(std::istreambuf_iterator<char>(again), {});
    CHECK(all.size() == 48893 && all.substr(48890) == "end");
    CHECK(!std::ifstream("/tmp/no/such/file"));
    std::ifstream thrower;
    thrower.exceptions(std::ios::failbit);
    CHECK(THROWS(std::ios_base::failure, thrower.open("/tmp/no/such/file")));
    CHECK(std::remove(path) == 0);
}

TEST(file_system, "Folders are made, walked, renamed, measured and removed.")
{
    fs::path root = fs::temp_directory_path() / "cxx-fs";

    fs::remove_all(root);
    CHECK(fs::create_directories(root / "a" / "b" / "c"));
    std::ofstream(root / "a" / "file") << "0123456789";
    CHECK(fs::file_size(root / "a" / "file") == 10 && fs::is_regular_file(root / "a" / "file"));
    fs::copy_file(root / "a" / "file", root / "a" / "b" / "copy");
    fs::create_symlink("b", root / "a" / "link");
    CHECK(fs::is_symlink(root / "a" / "link") && fs::read_symlink(root / "a" / "link") == "b");
    CHECK(fs::equivalent(root / "a" / "link" / "copy", root / "a" / "b" / "copy"));
    CHECK(fs::canonical(root / "a" / "link" / ".." / "file") == fs::canonical(root) / "a" / "file");
    fs::rename(root / "a" / "file", root / "moved");
    fs::resize_file(root / "moved", 4);
    fs::permissions(root / "moved", fs::perms::owner_read);
    CHECK((fs::status(root / "moved").permissions() & fs::perms::all) == fs::perms::owner_read);
    fs::last_write_time(root / "moved", fs::file_time_type::clock::now() - 1h);
    CHECK(fs::file_time_type::clock::now() - fs::last_write_time(root / "moved") < 2h);

    std::set<std::string> found;
    for (const auto &entry : fs::recursive_directory_iterator(root))
        found.insert(entry.path().lexically_relative(root));
    CHECK(found == std::set<std::string>{"a", "a/b", "a/b/c", "a/b/copy", "a/link", "moved"});
    CHECK(THROWS(fs::filesystem_error, fs::remove(root)));
    CHECK(fs::space("/tmp").available > 0);
    fs::current_path(root);
    CHECK(fs::absolute("moved") == fs::current_path() / "moved" && fs::exists("a/b"));
    fs::current_path("/");
    CHECK(fs::remove_all(root) == 7 && !fs::exists(root));
}

TEST(regular_expressions, "Expressions match, capture, replace, and are refused if they are none.")
{
    std::smatch match;
    std::string text = "key = value; other=thing";
    std::regex pair(R"((\w+)\s*=\s*(\w+))");

    CHECK(std::regex_search(text, match, pair) && match[1] == "key" && match[2] == "value");
    CHECK(std::distance(std::sregex_iterator(text.begin(), text.end(), pair), {}) == 2);
    CHECK(std::regex_replace(text, pair, "$2:$1") == "value:key; thing:other");
    CHECK(std::regex_match("2026-11-28", std::regex("[[:digit:]]{4}(-[0-9]{2}){2}")));
    CHECK(THROWS(std::regex_error, std::regex("(")));
}

TEST(containers, "Containers with a hundred thousand elements, filled and emptied at random.")
{
    std::mt19937 random(1);
    std::map<int, std::string> tree;
    std::unordered_map<std::string, int> table;
    std::list<std::unique_ptr<int>> list;
    std::vector<std::shared_ptr<std::string>> shared;

    for (int i = 0; i < 100000; i++) {
        unsigned key = random() % 20000;
        if (random() % 3 != 0) {
            tree[key] = std::to_string(key) + std::string(random() % 50, '.');
            table.emplace("key " + std::to_string(key), key);
        } else {
            tree.erase(key);
            table.erase("key " + std::to_string(key));
        }
        list.push_back(std::make_unique<int>(i));
        if (i % 2 == 0)
            list.pop_front();
        if (i % 10 == 0)
            shared.push_back(std::make_shared<std::string>(i % 100, 'x'));
    }
    CHECK(tree.size() == table.size() && tree.size() > 10000);
    for (const auto &[key, value] : tree)
        CHECK(std::stoi(value) == key && table.at("key " + std::to_string(key)) == key);
    CHECK(list.size() == 50000 && *list.back() == 99999);
    std::sort(shared.begin(), shared.end(), [](auto &a, auto &b) { return *a < *b; });
    CHECK(shared.front()->empty() && shared.back().use_count() == 1);
}

TEST(alignment, "Types that ask for much alignment get it, from new as well.")
{
    struct alignas(256) wide {
        char bytes[256];
    };
    std::vector<std::unique_ptr<wide>> all;

    for (int i = 0; i < 50; i++) {
        all.push_back(std::make_unique<wide>());
        CHECK(reinterpret_cast<std::uintptr_t>(all.back().get()) % 256 == 0);
    }
}

TEST(atomics, "Atomic operations of a word and of structures that have none.")
{
    struct pair {
        int a, b;
    };
    std::atomic<pair> both{{1, 2}};
    std::atomic<long> count{0};
    pair expected = {1, 2};

    CHECK(both.compare_exchange_strong(expected, {3, 4}) && both.load().b == 4);
    std::thread([&] { count.fetch_add(5); }).join();
    CHECK(count == 5 && count.is_lock_free());
}

} // namespace
