/*
 * Trees ordered by a 64-bit key (equal keys: by address). The node is embedded in what it orders;
 * its owner's lock protects it. Never sleeps, allocates nothing.
 */
#ifndef KERNEL_TREE_H
#define KERNEL_TREE_H

#include <stddef.h>
#include <stdint.h>

/* newlib's red-black trees, which ask to be told that one knows they are old. The version is pinned
 * (tools/deps), so they will not go away. */
#define __PERMIT_DEPRECATED_SYS_TREE_H
#include <sys/tree.h>

struct tree_node {
    RB_ENTRY(tree_node) links;
    uint64_t key; /* must not change while in a tree */
};

RB_HEAD(tree, tree_node); /* all-zero: empty */

void tree_insert(struct tree *tree, struct tree_node *node);
void tree_remove(struct tree *tree, struct tree_node *node);

/* NULL where there is none. */
struct tree_node *tree_first(struct tree *tree);
struct tree_node *tree_next(struct tree_node *node);
struct tree_node *tree_previous(struct tree_node *node);
struct tree_node *tree_last_up_to(struct tree *tree, uint64_t key); /* the last with key <= key */

/* What a node is embedded in; NULL for NULL. */
#define tree_owner(node, type, member)                                                             \
    ({                                                                                             \
        struct tree_node *node_ = (node);                                                          \
        node_ ? (type *)((char *)node_ - offsetof(type, member)) : (type *)NULL;                   \
    })

#endif
