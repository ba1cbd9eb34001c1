/*
 * Ordered trees: the one instance of newlib's red-black macros that timers, regions and folders
 * share.
 *
 * Callers: kernel/timer.c, kernel/vm.c, libc-glue/tmpfs.c, with their locks held. Ring 3.
 */
#include "kernel/tree.h"

static int compare(const struct tree_node *a, const struct tree_node *b)
{
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return a < b ? -1 : a > b;
}

RB_GENERATE_STATIC(tree, tree_node, links, compare)

void tree_insert(struct tree *tree, struct tree_node *node)
{
    RB_INSERT(tree, tree, node);
}

void tree_remove(struct tree *tree, struct tree_node *node)
{
    RB_REMOVE(tree, tree, node);
}

struct tree_node *tree_first(struct tree *tree)
{
    return RB_MIN(tree, tree);
}

struct tree_node *tree_next(struct tree_node *node)
{
    return tree_RB_NEXT(node);
}

struct tree_node *tree_previous(struct tree_node *node)
{
    return tree_RB_PREV(node);
}

struct tree_node *tree_last_up_to(struct tree *tree, uint64_t key)
{
    struct tree_node *node = RB_ROOT(tree), *found = NULL;

    while (node) {
        if (node->key <= key) {
            found = node;
            node = RB_RIGHT(node, links);
        } else {
            node = RB_LEFT(node, links);
        }
    }
    return found;
}
