// Package pgp is everything Postern does with OpenPGP: it judges what came
// without opening it, opens it in two passes, encrypts, signs and verifies. It
// is the only package that knows go-crypto, because that library is easy to
// hold wrongly: it releases plaintext before its integrity is known, sets no
// limit on what a message may unpack to, and calls an unverifiable signature
// verified. What this package promises instead:
//
//   - Nothing of a message leaves [Open] before the whole of it was found
//     unaltered, and no input costs more than its [Limits].
//   - A signature is called valid only when it was checked against a key and
//     the key was good when it was made.
//   - What is written is read by GnuPG 2.2 with exit status 0, armor checksum
//     included, and names no recipient but its own.
//
// Nothing here reads a clock, a file or the network: time is an argument.
package pgp
