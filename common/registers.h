/*
 * The registers that copies go through.
 */
#ifndef COMMON_REGISTERS_H
#define COMMON_REGISTERS_H

/* Clears the vector registers of the calling thread. memcpy(3) and its like leave there
 * what they moved last, up to half a kilobyte, and a core dump has the registers of
 * every thread. Called where a thread is about to wait. x86-64 and arm64; elsewhere it
 * does nothing. */
void wipe_registers(void);

#endif
