/*
 * Places in a folder, under telldir, seekdir and rewinddir. newlib's own forget a place as soon as
 * its buffer of entries is filled anew; here a place is the position that the system tells for each
 * entry (d_off).
 *
 * Ordinary calls from threads, with the DIR's lock held or taken. newlib declares none of the inner
 * ones.
 */
#include <dirent.h>
#include <unistd.h>

void _seekdir(DIR *folder, long place);
void _cleanupdir(DIR *folder);

/* Where readdir goes on: behind the last entry that it returned from the buffer, or, without a
 * buffer, where the descriptor is. */
long telldir(DIR *folder)
{
    long place = -1;

    __lock_acquire_recursive(folder->dd_lock);
    if (folder->dd_loc == 0)
        place = lseek(folder->dd_fd, 0, SEEK_CUR);
    for (long at = 0; at < folder->dd_loc;) {
        const struct dirent *entry = (const struct dirent *)(folder->dd_buf + at);

        place = entry->d_off;
        at += entry->d_reclen;
    }
    __lock_release_recursive(folder->dd_lock);
    return place;
}

/* The DIR's lock is held. */
void _seekdir(DIR *folder, long place)
{
    lseek(folder->dd_fd, place, SEEK_SET);
    folder->dd_loc = 0; /* the buffer is used up */
}

/* Of a DIR that is being closed. */
void _cleanupdir(DIR *folder)
{
    (void)folder;
}
