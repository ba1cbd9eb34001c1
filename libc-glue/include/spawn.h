/* There is one process: nothing can be spawned. That the header is no header tells configure
 * scripts so. */
#error "Parvus has no posix_spawn: there is one process"
