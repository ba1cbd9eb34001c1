/* What is constructed and destroyed when: static objects, and those of a thread. */
#include <atomic>
#include <cstdlib>
#include <memory>
#include <pthread.h>
#include <thread>
#include <vector>

#include "check.h"

namespace
{

int order;

struct ordered {
    int place = ++order;
};

ordered first;
ordered second;
[[gnu::init_priority(1000)]] ordered zeroth;
const std::string dynamic = std::string("not ") + "constant";

TEST(static_order, "Static objects are constructed before main, in the order of their definition.")
{
    CHECK(zeroth.place == 1 && first.place == 2 && second.place == 3 && dynamic == "not constant");
}

TEST(static_local,
     "A static object of a function is constructed once, though eight threads ask at once.")
{
    static std::atomic<int> constructed;
    struct slow {
        int value;
        slow()
        {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            value = ++constructed;
        }
    };
    std::vector<std::thread> threads;
    std::atomic<int> right{0};

    for (int i = 0; i < 8; i++)
        threads.emplace_back([&] {
            static slow object;
            right += object.value == 1;
        });
    for (auto &thread : threads)
        thread.join();
    CHECK(constructed == 1 && right == 8);
}

std::atomic<int> alive, made;

struct own {
    int value = 3;

    own()
    {
        alive++, made++;
    }
    ~own()
    {
        alive--;
    }
};

thread_local own used;

TEST(thread_local_objects, "Each thread has its own, from its first use to the thread's end.")
{
    int before = made, alive_before = alive;

    std::thread([&] {
        CHECK(used.value == 3);
        used.value = 4;
        std::thread([] { CHECK(used.value == 3); }).join();
        CHECK(used.value == 4);
    }).join();
    CHECK(made == before + 2 && alive == alive_before);
    std::thread([] {}).join();
    CHECK(made == before + 2);
}

std::string late;

struct late_made {
    std::unique_ptr<int> value = std::make_unique<int>(1);

    ~late_made()
    {
        late += "made ";
    }
    static late_made &own()
    {
        thread_local late_made object;
        return object;
    }
};

struct late_user {
    ~late_user()
    {
        late += *late_made::own().value == 1 ? "user " : "? ";
    }
    static late_user &own()
    {
        thread_local late_user object;
        return object;
    }
};

TEST(thread_local_late,
     "A destructor may be the first to use another such object; keys come after them.")
{
    static pthread_key_t key;

    late.clear();
    pthread_key_create(&key, [](void *) { late += "key"; });
    std::thread([] {
        pthread_setspecific(key, &key);
        late_user::own();
    }).join();
    pthread_key_delete(key);
    CHECK(late == "user made key");
}

} // namespace
