#ifndef SCHEDRUN_COMMON_BASE_EMBED_H
#define SCHEDRUN_COMMON_BASE_EMBED_H

/*
 * A file inside the program, as `name`, up to `name`_end, and a NUL behind it:
 * the assembler includes it, its bytes as they are, at no cost.  The file is
 * named from the root of the tree; the compiler's dependencies don't show it,
 * so the Makefile has a line for each object that embeds.
 */
#define EMBED(name, file)                                                      \
	__asm__(".section .rodata\n"                                           \
		".global " #name "\n"                                          \
		".global " #name "_end\n" #name ":\n"                          \
		".incbin \"" file "\"\n" #name "_end:\n"                       \
		".byte 0\n"                                                    \
		".previous\n");                                                \
	extern const char name[], name##_end[];

/* The bytes of two files, one behind the other; no end is named. */
#define EMBED_BOTH(name, first, second)                                        \
	__asm__(".section .rodata\n"                                           \
		".global " #name "\n" #name ":\n"                              \
		".incbin \"" first "\"\n"                                      \
		".incbin \"" second "\"\n"                                     \
		".byte 0\n"                                                    \
		".previous\n");                                                \
	extern const char name[];

#endif
