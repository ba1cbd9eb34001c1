/* wordexp needs a shell. That the header is no header tells configure scripts so. */
#error "Parvus has no wordexp: there is no shell"
