/* The guest inside the image: the bytes of GUEST_BLOB, or none (then it comes as a module). */
    .section .guest, "a"
#ifdef GUEST_BLOB
    .incbin GUEST_BLOB
#endif
