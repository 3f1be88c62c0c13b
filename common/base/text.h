#ifndef SCHEDRUN_COMMON_BASE_TEXT_H
#define SCHEDRUN_COMMON_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Bytes with a length, borrowed from whoever owns them; never assumed to end
 * in a NUL.  `at == NULL` is "no text" (JSON's and Avro's null), which is not
 * the same as an empty one.
 */
struct text {
	const char *at;
	size_t size;
};

#define TEXT(literal) ((struct text){ (literal), sizeof(literal) - 1 })
#define TEXT_NONE ((struct text){ NULL, 0 })

/* For printf's "%.*s". */
#define TEXT_ARG(text) (int)(text).size, ((text).at != NULL ? (text).at : "")

struct arena;

/* Borrows a C string; NULL gives TEXT_NONE. */
struct text text_from(const char *string);

/* No text equals only no text. */
bool text_equal(struct text left, struct text right);

/* Order by bytes (UTF-8's code point order), a prefix first; <0, 0 or >0. */
int text_compare(struct text left, struct text right);

/* Every text starts with an empty one. */
bool text_starts_with(struct text text, struct text prefix);
/*
 * Whether `part` stands somewhere in it, in ASCII's either case; an empty one
 * does in every text, in no text nothing.
 */
bool text_has_part(struct text text, struct text part);

/*
 * A number of 0 to `max`, digits only: no sign, no blank, nothing behind it.
 * False on anything else, and of no text.
 */
bool text_to_number(struct text text, int64_t max, int64_t *number);
/* The same, but more than `max` is `max`. */
bool text_to_bounded(struct text text, int64_t max, int64_t *number);
/*
 * Cuts the number off that `rest` begins with, of at most `digits` (up to 18)
 * digits.  False: it begins with none.
 */
bool text_take_number(struct text *rest, size_t digits, int64_t *number);
/* Cuts this byte off; false: `rest` doesn't begin with it. */
bool text_take_byte(struct text *rest, char byte);

/* The other way: its digits, in `out`. */
#define TEXT_NUMBER_SIZE 24
/* Borrows `out`; no NUL is promised behind it. */
struct text text_of_number(int64_t number, char out[TEXT_NUMBER_SIZE]);

/* The value of a hexadecimal digit of either case; -1: it is none. */
int text_hex_digit(char digit);

/* A copy in `arena`, followed by a NUL that `size` does not count. */
struct text text_copy(struct arena *arena, struct text text);

/* A hash for tables in memory, keyed once per process: not for storage. */
size_t text_hash(struct text text);

/* UTF-8 by RFC 3629: no overlong form, no surrogate, nothing over U+10FFFF. */
bool text_is_utf8(struct text text);
/* How many bytes of its beginning are. */
size_t text_utf8_size(struct text text);

/* Without the byte order mark (U+FEFF) that some editors begin a file with. */
struct text text_skip_mark(struct text text);

/* At most `max` bytes of the text's beginning, not ending within a character.
 */
struct text text_cut(struct text text, size_t max);

/*
 * Cuts the next word off, words being divided by one or more bytes of
 * `between`.  False: there is none left.
 */
bool text_take_word(struct text *rest, const char *between, struct text *word);

/* Without the blanks and tabs at both ends. */
struct text text_trim(struct text text);

/* Characters (code points) of a UTF-8 text. */
size_t text_characters(struct text text);

/* Whether it is of visible ASCII alone, and not empty. */
bool text_is_visible(struct text text);
/* Whether a control character (U+0000 to U+001F, U+007F) is in it. */
bool text_has_control(struct text text);
/*
 * Bytes of the control character at `i`, 0 if there is none: those above, and
 * U+0080 to U+009F, which documents may have and terminals may obey.
 */
size_t text_control_size(struct text text, size_t i);

#endif
