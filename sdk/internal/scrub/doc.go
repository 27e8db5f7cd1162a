// Package scrub takes secrets out of texts that other programs wrote: messages
// of targets, names in directories, lines of logs. It knows no list of
// encodings of a secret. It brings secrets and texts into one normal form and
// looks for pieces:
//
//   - A text is read as it is and with what may lie over a secret taken away:
//     percent-encoding, backslashes (Go, JSON, C, shells, LDAP), references of
//     HTML, quoted-printable, doubled quotes, up to four of them over each
//     other; hex, base32 and base64 of any alignment, lists of the numbers of
//     bytes or characters in decimal, hex or octal, UTF-16.
//   - Letters lose their case, accents and compatibility forms (NFKD), and
//     blanks, line ends and invisible characters are passed over. A second reading
//     passes over everything but letters and digits.
//   - Eight characters in a row that a secret has in a row, forwards or
//     backwards, are cut out of the text, with whatever lay over them.
//
// A secret without eight characters in the normal form is found whole, in
// its order and with its accents, and where it does not shred words: one of letters alone where no
// letter is next to it, one of digits alone where no digit is; one of two or
// three characters as a word of its own, and one of a single character between
// quotes or after = or :. The same holds for a secret whose pieces are all part
// of a word that messages are made of, such as "password"; elsewhere such a
// piece is ignored.
//
// It cannot find: a secret that the other program enciphered, compressed,
// or put into an unlisted alphabet; pieces of seven characters and
// less; in the middle of a secret of more than 4,096 characters, pieces of
// fourteen and less; UTF-16 without a letter of Latin in base64 or hex.
package scrub
