// Package vault seals and opens everything Postern keeps. It is the only
// at-rest cryptography of the program: whoever steals the database, a backup
// or the switched-off machine finds nothing here that opens without a
// passphrase.
//
// What it promises:
//
//   - A value opens only in the place it was sealed for. The additional data
//     ([AAD]) names instance, table, column, row, owner and key version;
//     moving a sealed value anywhere else makes it unreadable.
//   - Arrivals are sealed with public keys alone, so that a locked instance,
//     or a gate on another machine, goes on accepting reports.
//   - Lengths are padded to buckets (see [Bucket]) before sealing.
//   - Nothing secret appears in an error or in fmt's or slog's output.
//
// What it does not: Go cannot promise that no copy of a key stays behind in
// freed memory after [Vault.Lock], and a [Key] already handed out stays with
// its holder.
//
// Formats are fixed by golden files in testdata. Primitives: AES-256-GCM with
// random nonces; HMAC-SHA256 and HKDF-SHA256 (RFC 5869) for derivation; HPKE
// (RFC 9180) with the MLKEM768-X25519 KEM; Argon2id (RFC 9106) for passphrases.
package vault
